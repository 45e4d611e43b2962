"""Explanations by the scores of a bundle that three model services serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.content.moderation.moderator import Moderator
from services.orchestrator.content.writing.explanations import Explanations
from services.orchestrator.content.writing.options import Wording
from services.orchestrator.content.writing.rephrasing import Rephraser
from services.orchestrator.content.writing.writer import ItemWriter
from services.orchestrator.recommend.item_reasons import ItemExplainer
from services.orchestrator.store import Store
from services.runtime.errors import InvalidRequest, NotFound
from tests.support.bundles import write_bundle
from tests.unit.services.orchestrator.builders import event, item, vector
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator, fill_catalogue, like

FILM = Wording(kind="film")


class Explainer:
    """Explains through an orchestrator, as its servicer does."""

    def __init__(self, orchestrator: Orchestrator, mesh: Any) -> None:
        moderator = Moderator(orchestrator.store, mesh, orchestrator.settings)
        self._explanations = Explanations(
            orchestrator.store,
            ItemExplainer(orchestrator.recommender),
            ItemWriter(Rephraser(mesh, moderator)),
            orchestrator.settings,
        )
        self.orchestrator = orchestrator

    async def why(self, user: str, *items: str) -> pb.ExplainItemResponse:
        return await self._explanations.items(TENANT, user, items, 3, FILM)

    async def shown(self, token: str, tenant: str = TENANT) -> pb.ExplainItemResponse:
        return await self._explanations.shown(tenant, token, 3, FILM)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ModelServices]:
    made = ModelServices(tmp_path)
    write_bundle(made.bundles, "v1")
    yield made
    await made.close()


@pytest.fixture
async def explainer(store: Store, services: ModelServices) -> AsyncIterator[Explainer]:
    await services.start()
    orchestrator = Orchestrator(store, services.mesh, content_seconds=20.0)
    await fill_catalogue(store)
    await orchestrator.serve("v1")
    await like(store, "ann", "item-5")
    yield Explainer(orchestrator, services.mesh)
    await orchestrator.close()


async def test_the_reason_is_the_history_item_that_speaks_for_it(explainer: Explainer) -> None:
    found = await explainer.why("ann", "item-6")
    (explained,) = found.explanations
    assert explained.reasons[0].item_id == "item-5"
    assert "Title item-5" in explained.written.text
    assert "Title item-6" in explained.written.text
    assert [fact.value for fact in explained.written.facts if fact.field == "reason"] == ["you liked Title item-5"]
    assert (found.bundle_version, found.degraded) == ("v1", False)


async def test_an_item_is_no_reason_for_itself(explainer: Explainer) -> None:
    for explained in (await explainer.why("ann", "item-5", "item-6")).explanations:
        assert explained.item_id not in [reason.item_id for reason in explained.reasons]


async def test_the_verb_is_what_the_user_did(explainer: Explainer, store: Store) -> None:
    bought = event("b1", user_id="bob", item_id="item-5", kind=7, weight=1.5, event_time=20_000)
    looked = event("v1", user_id="eve", item_id="item-5", kind=1, weight=0.3, event_time=20_000)
    await store.write_events(TENANT, [bought, looked])
    for user, verb in (("bob", "you bought"), ("eve", "you looked at")):
        (explained,) = (await explainer.why(user, "item-6")).explanations
        assert f"{verb} Title item-5" in [fact.value for fact in explained.written.facts]


async def test_a_user_without_history_gets_no_personal_reason(explainer: Explainer) -> None:
    (popular, plain) = (await explainer.why("nobody", "item-0", "item-11")).explanations
    assert [reason.kind for reason in popular.reasons] == [recommendation_pb.REASON_KIND_POPULARITY]
    assert not plain.reasons
    assert "you liked" not in plain.written.text


async def test_a_new_item_is_explained_by_what_it_resembles(explainer: Explainer, store: Store) -> None:
    alike = vector(*([1.0] + [0.0] * 383), model="sentences")
    await store.upsert_items(TENANT, [item("old", text_vector=alike), item("new", text_vector=alike, tags=("war",))])
    await like(store, "cat", "old")
    (explained,) = (await explainer.why("cat", "new")).explanations
    assert explained.reasons[0].kind == recommendation_pb.REASON_KIND_CONTENT
    assert "it resembles Title old" in [fact.value for fact in explained.written.facts]


async def test_a_list_that_was_served_is_explained_as_it_was(explainer: Explainer, store: Store) -> None:
    request = recommendation_pb.RecommendRequest(user_id="ann", page_size=3)
    served = await explainer.orchestrator.recommender.recommend(TENANT, request)
    first = served.items[0]
    # What came later was no reason then.
    await like(store, "ann", "item-9")
    found = await explainer.shown(first.attribution_token)
    (explained,) = found.explanations
    assert explained.item_id == first.item_id
    assert {reason.item_id for reason in explained.reasons} <= {"item-5", ""}
    assert {fact.source for fact in explained.written.facts if fact.field == "reason"} <= {"slate", "events"}
    assert found.bundle_version == "v1"


async def test_tokens_of_others_and_broken_ones_are_refused(explainer: Explainer) -> None:
    request = recommendation_pb.RecommendRequest(user_id="ann", page_size=3)
    token = (await explainer.orchestrator.recommender.recommend(TENANT, request)).items[0].attribution_token
    with pytest.raises(NotFound):
        await explainer.shown(token, "someone-else")
    with pytest.raises(InvalidRequest):
        await explainer.shown("A" + token[1:])
    with pytest.raises(InvalidRequest):
        await explainer.shown(token[:-2] + ("AA" if token[-2:] != "AA" else "BB"))


async def test_without_the_ranker_nothing_is_made_up(explainer: Explainer, services: ModelServices) -> None:
    await services.stop("classical")
    found = await explainer.why("ann", "item-6")
    assert found.degraded
    (explained,) = found.explanations
    assert "Title item-5" not in explained.written.text
    assert "Title item-6" in explained.written.text
