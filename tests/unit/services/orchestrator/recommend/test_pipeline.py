"""Recommendations end to end: a real store, and the model services that each test starts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK, STEP_OUTCOME_SKIPPED
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.store import Store
from services.runtime.errors import NotFound
from services.runtime.request_context import RequestContext, enter_request
from tests.support.bundles import ITEMS
from tests.unit.services.orchestrator.builders import item, vector
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import (
    TENANT,
    Orchestrator,
    catalogue_item,
    fill_catalogue,
    like,
)


@pytest.fixture
async def orchestrator(store: Store, services: ModelServices) -> AsyncIterator[Orchestrator]:
    await fill_catalogue(store)
    made = Orchestrator(store, services.mesh)
    yield made
    await made.close()


async def recommend(orchestrator: Orchestrator, user_id: str = "ann", **fields: Any) -> pb.RecommendResponse:
    return await orchestrator.recommender.recommend(TENANT, pb.RecommendRequest(user_id=user_id, **fields))


def ids(answer: pb.RecommendResponse) -> list[str]:
    return [entry.item_id for entry in answer.items]


def outcomes(answer: pb.RecommendResponse) -> dict[str, int]:
    return {report.step: report.outcome for report in answer.steps}


class TestWithAllServices:
    @pytest.fixture(autouse=True)
    async def mesh(self, orchestrator: Orchestrator, services: ModelServices) -> None:
        await services.start()
        await orchestrator.serve("v1")

    async def test_a_list_for_someone_who_is_known(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-1", "item-7")
        answer = await recommend(orchestrator, page_size=4, diversity=0)
        assert not answer.degraded
        assert (answer.bundle_version, answer.history_count) == ("v1", 2)
        # item-8 is what the bundle proposes after the newest event.
        best = answer.items[0]
        assert (best.item_id, best.title, list(best.tags)) == ("item-8", "Title item-8", ["space"])
        assert set(best.sources) == {"near", "next", "words", "popularity"}
        assert best.reasons[0].text == "Because of Title item-7"
        assert [entry.score for entry in answer.items] == sorted((entry.score for entry in answer.items), reverse=True)
        assert len(set(ids(answer))) == 4
        assert not {"item-1", "item-7"} & set(ids(answer))

    async def test_every_step_is_reported(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-1")
        answer = await recommend(orchestrator)
        skipped = {"candidates/vision", "candidates/trending", "candidates/fresh"}
        steps = (
            "history",
            "filter",
            "candidates/classical",
            "candidates/text",
            "candidates/vision",
            "candidates/trending",
            "candidates/popularity",
            "candidates/fresh",
            "rank",
            "rerank",
            "slate",
            "explain",
        )
        assert outcomes(answer) == {
            step: STEP_OUTCOME_SKIPPED if step in skipped else STEP_OUTCOME_OK for step in steps
        }
        assert [report.step for report in answer.steps] == list(steps)

    async def test_a_new_event_counts_at_once(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-1")
        assert ids(await recommend(orchestrator, diversity=0))[0] == "item-2"
        await like(store, "ann", "item-5")
        answer = await recommend(orchestrator, diversity=0)
        assert ids(answer)[0] == "item-6"
        assert "item-5" not in ids(answer)

    async def test_someone_unknown_gets_what_is_popular(self, orchestrator: Orchestrator) -> None:
        answer = await recommend(orchestrator, page_size=3, diversity=0)
        assert ids(answer) == ["item-0", "item-1", "item-2"]
        assert {reason.kind for entry in answer.items for reason in entry.reasons} == {pb.REASON_KIND_POPULARITY}
        assert (answer.degraded, answer.history_count) == (False, 0)

    async def test_someone_unknown_may_be_refused(self, orchestrator: Orchestrator, store: Store) -> None:
        with pytest.raises(NotFound) as caught:
            await recommend(orchestrator, require_known_user=True)
        assert caught.value.violations[0].field == "user_id"
        await like(store, "ann", "item-1")
        assert (await recommend(orchestrator, require_known_user=True)).items

    async def test_the_page_is_as_long_as_the_catalogue_allows(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-1")
        assert set(ids(await recommend(orchestrator, page_size=100))) == set(ITEMS) - {"item-1"}
        assert len(ids(await recommend(orchestrator, page_size=1))) == 1

    @pytest.mark.parametrize(
        ("fields", "wanted"),
        [
            ({"required_tags": ["SPACE"]}, {"item-0", "item-4", "item-8"}),
            ({"required_tags": ["space", "war"], "excluded_tags": ["War"]}, {"item-0", "item-4", "item-8"}),
            ({"excluded_tags": ["west", "war", "love"], "maximum_maturity_age": 17}, {"item-4", "item-8"}),
            ({"excluded_item_ids": [*ITEMS[2:], "nowhere"]}, {"item-0"}),
            ({"excluded_item_ids": ITEMS[2:], "include_seen": True}, {"item-0", "item-1"}),
            ({"required_tags": ["no such tag"]}, set()),
        ],
    )
    @pytest.mark.parametrize("user_id", ["ann", "nobody"])
    async def test_filters_hold_for_everyone(
        self, orchestrator: Orchestrator, store: Store, user_id: str, fields: dict[str, Any], wanted: set[str]
    ) -> None:
        await like(store, "ann", "item-1")
        if user_id == "nobody" and "excluded_item_ids" in fields:
            wanted = wanted | {"item-1"}
        answer = await recommend(orchestrator, user_id, page_size=100, **fields)
        assert set(ids(answer)) == wanted
        assert not answer.degraded

    async def test_a_filter_expression_goes_into_candidate_generation(
        self, orchestrator: Orchestrator, store: Store
    ) -> None:
        await like(store, "ann", "item-1", "item-7")
        answer = await recommend(orchestrator, filter='item_id in ["item-3", "item-8"]')
        assert set(ids(answer)) == {"item-3", "item-8"}
        assert set(answer.items[0].sources) > {"near", "next"}

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"filter": '"no such tag" in tags'}, "no item passes the filter expression"),
            ({"filter": "true", "required_tags": ["no such tag"]}, "no item passes the filters together"),
            ({"filter": 'item_id == "item-1"'}, "every item that passes the filters was seen or is excluded"),
        ],
    )
    async def test_a_list_that_nothing_fits_says_why(
        self, orchestrator: Orchestrator, store: Store, fields: dict[str, Any], why: str
    ) -> None:
        await like(store, "ann", "item-1")
        answer = await recommend(orchestrator, **fields)
        assert ids(answer) == []
        assert not answer.degraded
        (report,) = [step for step in answer.steps if step.step == "filter"]
        assert report.detail.startswith(why)

    async def test_what_the_session_saw_counts_at_once_and_is_not_stored(
        self, orchestrator: Orchestrator, store: Store
    ) -> None:
        await like(store, "ann", "item-1")
        answer = await recommend(orchestrator, page_size=4, diversity=0, session_item_ids=["item-7"])
        # item-8 is what the bundle proposes after item-7.
        assert ids(answer)[0] == "item-8"
        assert "item-7" not in ids(answer)
        assert answer.items[0].reasons[0].text == "Because of Title item-7"
        assert answer.history_count == 1
        again = await recommend(orchestrator, page_size=4, diversity=0)
        assert ids(again)[0] != "item-8" or again.items[0].reasons[0].text != "Because of Title item-7"

    async def test_slots_hold_their_items_over_all_pages(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-1")
        plain = await recommend(orchestrator, page_size=3, diversity=0)
        second = ids(plain)[1]
        slots = [
            pb.Slot(position=0, item_id=second),
            pb.Slot(position=3, item_id="item-1"),
            pb.Slot(position=1, item_id="no such"),
        ]
        answer = await recommend(orchestrator, page_size=3, diversity=0, slots=slots)
        assert ids(answer)[:2] == [second, ids(plain)[0]]
        assert list(answer.items[0].sources) == ["pinned"]
        assert [reason.kind for reason in answer.items[0].reasons] == [pb.REASON_KIND_PINNED]
        rest = await recommend(orchestrator, page_size=3, diversity=0, slots=slots, page_token=answer.next_page_token)
        assert ids(rest)[0] == "item-1", "a pinned item is shown though it was seen"
        assert not set(ids(rest)) & set(ids(answer))

    async def test_a_pinned_item_must_pass_the_filters(self, orchestrator: Orchestrator, store: Store) -> None:
        slots = [pb.Slot(position=0, item_id="item-5")]
        answer = await recommend(orchestrator, slots=slots, filter='item_id != "item-5"')
        assert ids(answer)
        assert "item-5" not in ids(answer)

    async def test_what_was_seen_long_ago_is_not_shown_again(
        self, store: Store, services: ModelServices, orchestrator: Orchestrator
    ) -> None:
        forgetful = Orchestrator(store, services.mesh, history_limit=1)
        await forgetful.bundles.load_everywhere(TENANT, "v1")
        await like(store, "ann", "item-1", "item-2", "item-3")
        answer = await recommend(forgetful, page_size=100)
        assert answer.history_count == 1
        assert not {"item-1", "item-2", "item-3"} & set(ids(answer))
        await forgetful.close()

    async def test_deleted_items_are_gone_but_still_speak(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-7")
        await recommend(orchestrator)
        await store.delete_item(TENANT, "item-7")
        await store.delete_item(TENANT, "item-8")
        answer = await recommend(orchestrator, page_size=100, diversity=0, include_seen=True)
        assert set(ids(answer)) == set(ITEMS) - {"item-7", "item-8"}
        assert "Because of item-7" in {reason.text for entry in answer.items for reason in entry.reasons}

    @pytest.mark.parametrize("user_id", ["ann", "nobody"])
    async def test_a_new_item_takes_the_fifth_place(
        self, orchestrator: Orchestrator, store: Store, user_id: str
    ) -> None:
        await like(store, "ann", "item-7")
        await store.upsert_items(
            TENANT,
            [catalogue_item(7, text_vector=vector(1, 0)), item("new", text_vector=vector(0.8, 0.6)), item("blank")],
        )
        answer = await recommend(orchestrator, user_id, page_size=8)
        fifth = answer.items[4]
        assert list(fifth.sources) == ["fresh"]
        assert len(set(ids(answer))) == 8
        if user_id == "ann":
            assert (fifth.item_id, fifth.reasons[0].text) == ("new", "New, and it resembles Title item-7")
        else:
            assert fifth.reasons[0].kind == pb.REASON_KIND_FRESH

    @pytest.mark.parametrize(("asked", "most"), [(0, 0), (1, 1), (2, 2)])
    async def test_as_many_reasons_as_asked(
        self, orchestrator: Orchestrator, store: Store, asked: int, most: int
    ) -> None:
        await like(store, "ann", "item-3", "item-4", "item-6")
        answer = await recommend(orchestrator, reason_count=asked)
        assert max(len(entry.reasons) for entry in answer.items) == most

    async def test_shares_are_parts_of_one_whole(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-3", "item-4", "item-6")
        answer = await recommend(orchestrator, reason_count=10)
        for entry in answer.items:
            shares = [reason.share for reason in entry.reasons]
            assert shares == sorted(shares, reverse=True)
            assert 0.9 < sum(shares) <= 1.0001
            assert all(reason.item_id in {"item-3", "item-4", "item-6", ""} for reason in entry.reasons)


class TestWithServicesMissing:
    async def test_classical_alone_still_ranks(
        self, orchestrator: Orchestrator, services: ModelServices, store: Store
    ) -> None:
        await services.start("classical")
        await orchestrator.serve("v1")
        await store.upsert_items(TENANT, [catalogue_item(7, picture=None, text_vector=vector(1))])
        await like(store, "ann", "item-7")
        answer = await recommend(orchestrator, diversity=0)
        assert answer.degraded
        found = outcomes(answer)
        assert found["candidates/text"] == STEP_OUTCOME_FALLBACK
        assert found["candidates/vision"] == STEP_OUTCOME_SKIPPED
        assert found["candidates/classical"] == found["rank"] == STEP_OUTCOME_OK
        assert ids(answer)[0] == "item-8"
        assert answer.items[0].reasons[0].text == "Because of Title item-7"

    async def test_without_the_ranker_other_sources_fill_the_list(
        self, orchestrator: Orchestrator, services: ModelServices, store: Store
    ) -> None:
        await services.start("text")
        await orchestrator.serve("v1")
        await like(store, "ann", "item-7")
        answer = await recommend(orchestrator, diversity=0)
        assert answer.degraded
        assert outcomes(answer)["rank"] == STEP_OUTCOME_FALLBACK
        assert set(ids(answer)[:2]) == {"item-6", "item-8"}
        assert answer.items[0].reasons[0].text == "Close to what you had before"
        assert len(answer.items) == 10

    async def test_all_down_after_they_served(
        self, orchestrator: Orchestrator, services: ModelServices, store: Store
    ) -> None:
        await services.start()
        await orchestrator.serve("v1")
        await services.stop()
        await like(store, "ann", "item-0")
        answer = await recommend(orchestrator, page_size=3, diversity=0)
        assert answer.degraded
        assert ids(answer) == ["item-1", "item-2", "item-3"]
        assert answer.bundle_version == "v1"

    async def test_all_down_from_the_start(self, orchestrator: Orchestrator, store: Store) -> None:
        await store.set_bundle(TENANT, "v1", expected="")
        await like(store, "ann", "item-0")
        answer = await recommend(orchestrator, page_size=3, diversity=0)
        assert answer.degraded
        assert ids(answer) == ["item-1", "item-2", "item-3"]
        assert answer.bundle_version == ""
        [lost] = [report for report in answer.steps if report.outcome == STEP_OUTCOME_FALLBACK]
        assert (lost.step, lost.service) == ("bundle", "orchestrator")
        assert "v1" in lost.detail

    async def test_before_the_first_training_nothing_is_missing(self, orchestrator: Orchestrator, store: Store) -> None:
        await like(store, "ann", "item-0")
        answer = await recommend(orchestrator, page_size=3, diversity=0)
        assert not answer.degraded
        assert ids(answer) == ["item-1", "item-2", "item-3"]

    async def test_an_empty_catalogue_gives_an_empty_list(self, store: Store, services: ModelServices) -> None:
        await services.start()
        orchestrator = Orchestrator(store, services.mesh)
        await orchestrator.serve("v1")
        await like(store, "ann", "item-0")
        assert ids(await recommend(orchestrator)) == []
        await orchestrator.close()

    @pytest.mark.parametrize("whose", ["the caller's deadline", "the step's own limit"])
    async def test_a_service_that_hangs_costs_its_share_only(
        self, services: ModelServices, store: Store, whose: str
    ) -> None:
        own_limit = whose == "the step's own limit"
        orchestrator = Orchestrator(store, services.mesh, **({"candidate_seconds": 0.3} if own_limit else {}))
        await fill_catalogue(store)
        await like(store, "ann", "item-7")
        await store.set_bundle(TENANT, "v1", expected="")
        async with services.hang("text"):
            await services.start("classical")
            await orchestrator.bundles.check()
            if not own_limit:
                enter_request(RequestContext(deadline=time.monotonic() + 3))
            start = time.monotonic()
            answer = await recommend(orchestrator, diversity=0)
            assert time.monotonic() - start < 3
        [lost] = [report for report in answer.steps if report.outcome == STEP_OUTCOME_FALLBACK]
        assert lost.step == "candidates/text"
        assert lost.detail == "the text service did not answer in time; the other candidate sources fill the list"
        assert outcomes(answer)["rank"] == STEP_OUTCOME_OK
        assert ids(answer)[0] == "item-8"
        await orchestrator.close()
