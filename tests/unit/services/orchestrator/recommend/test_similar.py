"""Similar items end to end: a real store, and the model services that each test starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from services.orchestrator.recommend.options import read_similar
from services.orchestrator.store import Store
from services.runtime.errors import NotFound
from tests.support.bundles import ITEMS
from tests.unit.services.orchestrator.builders import item, vector
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator, fill_catalogue


@pytest.fixture
async def orchestrator(store: Store, services: ModelServices) -> AsyncIterator[Orchestrator]:
    await fill_catalogue(store)
    made = Orchestrator(store, services.mesh)
    yield made
    await made.close()


async def similar(orchestrator: Orchestrator, item_id: str, **fields: Any) -> pb.SimilarItemsResponse:
    request = pb.SimilarItemsRequest(item_id=item_id, **fields)
    return await orchestrator.similar.similar(TENANT, read_similar(request))


def ids(answer: pb.SimilarItemsResponse) -> list[str]:
    return [entry.item_id for entry in answer.items]


class TestWithAllServices:
    @pytest.fixture(autouse=True)
    async def mesh(self, orchestrator: Orchestrator, services: ModelServices) -> None:
        await services.start()
        await orchestrator.serve("v1")

    async def test_what_the_scorers_agree_on(self, orchestrator: Orchestrator) -> None:
        answer = await similar(orchestrator, "item-5", page_size=3)
        # The one that follows is near as well; the one before is near only.
        assert ids(answer) == ["item-6", "item-7", "item-4"]
        assert (answer.degraded, answer.bundle_version) == (False, "v1")
        best = answer.items[0]
        assert (best.title, list(best.tags)) == ("Title item-6", ["war"])
        assert set(best.sources) == {"near", "next", "words", "pictures"}
        assert {report.step for report in answer.steps} == {
            "catalog",
            "similar/text",
            "similar/vision",
            "similar/classical",
        }
        assert {report.outcome for report in answer.steps} == {STEP_OUTCOME_OK}

    async def test_never_the_item_itself(self, orchestrator: Orchestrator) -> None:
        for item_id in ITEMS[:3]:
            assert set(ids(await similar(orchestrator, item_id, page_size=100))) == set(ITEMS) - {item_id}

    async def test_scores_fall(self, orchestrator: Orchestrator) -> None:
        scores = [entry.score for entry in (await similar(orchestrator, "item-5")).items]
        assert len(scores) == 10
        assert scores == sorted(scores, reverse=True)

    async def test_filters_hold(self, orchestrator: Orchestrator) -> None:
        fields = {"required_tags": ["space"], "maximum_maturity_age": 17}
        assert set(ids(await similar(orchestrator, "item-5", **fields))) == {"item-4", "item-8"}
        assert ids(await similar(orchestrator, "item-5", required_tags=["no such tag"])) == []

    async def test_a_new_item_is_judged_by_its_content(self, orchestrator: Orchestrator, store: Store) -> None:
        await store.upsert_items(
            TENANT,
            [
                item("new", tags=("heist",), text_vector=vector(1, 0)),
                item("twin", text_vector=vector(1, 0), picture=None),
                item("cousin", tags=("HEIST",), text_vector=vector(0, 1)),
            ],
        )
        answer = await similar(orchestrator, "new", page_size=2)
        assert ids(answer) == ["twin", "cousin"]
        assert [list(entry.sources) for entry in answer.items] == [["content"], ["content"]]
        assert [entry.score for entry in answer.items] == pytest.approx([1.0, 0.5])
        assert not answer.degraded

    async def test_deleted_items_are_not_shown(self, orchestrator: Orchestrator, store: Store) -> None:
        await store.delete_item(TENANT, "item-6")
        assert ids(await similar(orchestrator, "item-5", page_size=2)) == ["item-7", "item-4"]
        with pytest.raises(NotFound):
            await similar(orchestrator, "item-6")


async def test_text_and_vision_missing(orchestrator: Orchestrator, services: ModelServices) -> None:
    await services.start("classical")
    await orchestrator.serve("v1")
    answer = await similar(orchestrator, "item-5", page_size=2)
    assert answer.degraded
    assert ids(answer)[0] == "item-6"
    lost = {report.step: report.detail for report in answer.steps if report.outcome == STEP_OUTCOME_FALLBACK}
    assert lost == {
        "similar/text": "the text service is down; likeness is judged without text",
        "similar/vision": "the vision service is down; likeness is judged without pictures",
    }


async def test_all_down_after_they_served(orchestrator: Orchestrator, services: ModelServices) -> None:
    await services.start()
    await orchestrator.serve("v1")
    await services.stop()
    answer = await similar(orchestrator, "item-5", page_size=2)
    assert answer.degraded
    # The other two items with the same tag.
    assert ids(answer) == ["item-1", "item-9"]
    assert answer.steps[-1].step == "similar/content"


async def test_all_down_from_the_start(orchestrator: Orchestrator, store: Store) -> None:
    await store.set_bundle(TENANT, "v1", expected="")
    answer = await similar(orchestrator, "item-5", page_size=2)
    assert answer.degraded
    assert ids(answer) == ["item-1", "item-9"]
    assert (answer.bundle_version, [report.step for report in answer.steps]) == (
        "",
        ["catalog", "bundle", "similar/content"],
    )


async def test_before_the_first_training_nothing_is_missing(orchestrator: Orchestrator) -> None:
    answer = await similar(orchestrator, "item-5", page_size=2)
    assert not answer.degraded
    assert ids(answer) == ["item-1", "item-9"]


async def test_an_unknown_item_is_not_found(orchestrator: Orchestrator) -> None:
    with pytest.raises(NotFound) as caught:
        await similar(orchestrator, "nowhere")
    assert caught.value.violations[0].field == "item_id"
    assert caught.value.resource == ("item", "nowhere")
