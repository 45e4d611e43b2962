"""Lists steered through the API's message: each wish does what the contract says, and bad ones are refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import CategoryCap, Taste, UserSettings
from marquee.entertainment.v1.route_service_pb2 import ROUTE_KEY_USER
from services.orchestrator.recommend.options import read_recommend
from services.orchestrator.store import Store
from services.orchestrator.store.records import Route, RouteArm
from services.runtime.errors import InvalidRequest
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator, fill_catalogue, like

NAN = float("nan")


@pytest.fixture
async def orchestrator(store: Store, services: ModelServices) -> AsyncIterator[Orchestrator]:
    await fill_catalogue(store)
    made = Orchestrator(store, services.mesh)
    await services.start()
    await made.serve("v1")
    yield made
    await made.close()


async def recommend(orchestrator: Orchestrator, user_id: str = "ann", **fields: Any) -> pb.RecommendResponse:
    return await orchestrator.recommender.recommend(TENANT, pb.RecommendRequest(user_id=user_id, **fields))


def ids(answer: pb.RecommendResponse) -> list[str]:
    return [item.item_id for item in answer.items]


async def test_tastes_of_somebody_new_decide(orchestrator: Orchestrator) -> None:
    answer = await recommend(orchestrator, tastes=[Taste(tag="WAR", weight=1.0)], page_size=3, diversity=0)
    assert {tag for item in answer.items for tag in item.tags} == {"war"}
    assert answer.items[0].reasons[0].kind == pb.REASON_KIND_TASTE


async def test_a_disliked_kind_sinks(orchestrator: Orchestrator, store: Store) -> None:
    await like(store, "ann", "item-1")
    before = await recommend(orchestrator, diversity=0)
    top = before.items[0].tags[0]
    after = await recommend(orchestrator, diversity=0, promotions=[pb.Promotion(tag=top, boost=-5)])
    assert after.items[0].tags[0] != top


async def test_an_unknown_taste_is_said(orchestrator: Orchestrator) -> None:
    answer = await recommend(orchestrator, tastes=[Taste(tag="Polka", weight=1.0)])
    [step] = [step for step in answer.steps if step.step == "candidates/tastes"]
    assert "'polka'" in step.detail
    assert answer.items


async def test_caps_hold_on_every_page(orchestrator: Orchestrator) -> None:
    wishes: dict[str, Any] = {"category_caps": [CategoryCap(tag="space", maximum=1)], "page_size": 3}
    first = await recommend(orchestrator, **wishes)
    second = await recommend(orchestrator, **wishes, page_token=first.next_page_token)
    for page in (first, second):
        assert sum("space" in item.tags for item in page.items) <= 1
    assert not set(ids(first)) & set(ids(second))


async def test_a_silenced_source_proposes_nothing(orchestrator: Orchestrator, store: Store) -> None:
    await like(store, "ann", "item-1")
    answer = await recommend(orchestrator, source_weights={"near": 0, "popularity": 0})
    assert not {"near", "popularity"} & {source for item in answer.items for source in item.sources}


async def test_a_source_that_nobody_has_is_refused(orchestrator: Orchestrator, store: Store) -> None:
    await like(store, "ann", "item-1")
    with pytest.raises(InvalidRequest, match=r"source_weights\[oracle\].*near"):
        await recommend(orchestrator, source_weights={"oracle": 1})


async def test_the_same_seed_and_state_give_the_same_list(orchestrator: Orchestrator, store: Store) -> None:
    await like(store, "ann", "item-1")
    exploration = pb.Exploration(positions=[0, 1, 2], temperature=5)
    lists = [ids(await recommend(orchestrator, seed=4, exploration=exploration)) for _ in range(2)]
    assert lists[0] == lists[1]
    others = {tuple(ids(await recommend(orchestrator, seed=seed, exploration=exploration))) for seed in range(8)}
    assert len(others) > 1


async def test_propensities_are_told_and_kept(orchestrator: Orchestrator, store: Store) -> None:
    await like(store, "ann", "item-1")
    answer = await recommend(orchestrator, exploration=pb.Exploration(positions=[1]), page_size=3)
    assert [item.propensity == 1 for item in answer.items] == [True, False, True]
    assert 0 < answer.items[1].propensity < 1
    slate = await store.get_slate(TENANT, answer.slate_id)
    assert slate is not None
    assert len(slate.propensities) == 4 * len(slate.item_ids)


async def test_an_arm_can_be_asked_for(orchestrator: Orchestrator, store: Store) -> None:
    with pytest.raises(InvalidRequest, match="no route is set"):
        await recommend(orchestrator, arm="b")
    arms = (RouteArm("a", "", "", 1), RouteArm("b", "linear", "", 0))
    await store.set_route(TENANT, Route("recommend", ROUTE_KEY_USER, arms))
    assert (await recommend(orchestrator)).arm == "a"
    assert (await recommend(orchestrator, arm="b")).arm == "b"
    with pytest.raises(InvalidRequest, match="its arms are a, b"):
        await recommend(orchestrator, arm="c")


async def test_what_was_on_top_again_and_again_sinks(orchestrator: Orchestrator, store: Store) -> None:
    await like(store, "ann", "item-1")
    first = ids(await recommend(orchestrator, diversity=0, page_size=10))[0]
    for _ in range(5):
        await recommend(orchestrator, diversity=0, page_size=10)
    tired = ids(await recommend(orchestrator, diversity=0, impression_fatigue=1.0, page_size=10))
    assert set(tired) == set(tired), "nothing is lost"
    assert first in tired


async def test_settings_apply_where_the_request_is_silent(orchestrator: Orchestrator, store: Store) -> None:
    settings = UserSettings(maximum_maturity_age=10, excluded_tags=["war"])
    await store.set_user_settings(TENANT, "ann", settings.SerializeToString())
    quiet = await recommend(orchestrator, page_size=20)
    assert not [item for item in quiet.items if "war" in item.tags]
    ages = {item.item_id: item.maturity_age for item in await store.list_items(TENANT, "", 100)}
    assert max(ages[item_id] for item_id in ids(quiet)) <= 10
    loud = await recommend(orchestrator, page_size=20, maximum_maturity_age=21, excluded_tags=["love"])
    assert [item for item in loud.items if "war" in item.tags]
    assert max(ages[item_id] for item_id in ids(loud)) > 10
    await store.set_user_settings(TENANT, "ann", b"")
    assert [item for item in (await recommend(orchestrator, page_size=20)).items if "war" in item.tags]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"category_caps": [CategoryCap(tag="", maximum=1)]}, "category_caps[0].tag"),
        ({"category_caps": [CategoryCap(tag="a", maximum=-1)]}, "category_caps[0].maximum"),
        ({"category_caps": [CategoryCap(tag="a", maximum=1), CategoryCap(tag="A")]}, "category_caps[1].tag"),
        ({"promotions": [pb.Promotion(boost=1)]}, "promotions[0]"),
        ({"promotions": [pb.Promotion(item_id="x", boost=NAN)]}, "promotions[0].boost"),
        ({"promotions": [pb.Promotion(tag="x", boost=5.5)]}, "promotions[0].boost"),
        ({"tastes": [Taste(tag="a", weight=NAN)]}, "tastes[0].weight"),
        ({"tastes": [Taste(tag="a", weight=1), Taste(tag="A", weight=-1)]}, "tastes[1].tag"),
        ({"source_weights": {"ease": NAN}}, "source_weights[ease]"),
        ({"source_weights": {"ease": -1.0}}, "source_weights[ease]"),
        ({"impression_fatigue": 1.5}, "impression_fatigue"),
        ({"arm": "x" * 65}, "arm"),
        ({"exploration": pb.Exploration(temperature=0)}, "exploration.temperature"),
        ({"exploration": pb.Exploration(temperature=NAN)}, "exploration.temperature"),
        ({"exploration": pb.Exploration(positions=[3, 3])}, "exploration.positions[1]"),
        ({"exploration": pb.Exploration(positions=[100])}, "exploration.positions[0]"),
        (
            {"exploration": pb.Exploration(positions=[2]), "slots": [pb.Slot(position=2, item_id="x")]},
            "exploration.positions",
        ),
    ],
)
def test_bad_wishes_are_refused_by_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_recommend(pb.RecommendRequest(user_id="ann", **fields))
    assert [violation.field for violation in caught.value.violations] == [field]
