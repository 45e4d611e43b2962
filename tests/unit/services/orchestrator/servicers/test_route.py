"""RouteService over gRPC with real model services, and what it does to lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from marquee.entertainment.v1 import recommendation_service_pb2 as recommendation_pb
from marquee.entertainment.v1 import route_service_pb2 as pb
from marquee.entertainment.v1.route_service_pb2_grpc import RouteServiceStub
from services.orchestrator.store import Store
from tests.support.bundles import ITEMS, write_bundle
from tests.support.clients import Outcome, outcome_of
from tests.support.servers import running
from tests.unit.services.orchestrator.builders import item
from tests.unit.services.orchestrator.recommend.model_services import ModelServices
from tests.unit.services.orchestrator.recommend.orchestrator import TENANT, Orchestrator, like

if TYPE_CHECKING:
    from marquee.entertainment.v1.route_service_pb2_grpc import RouteServiceAsyncStub


@pytest.fixture
async def orchestrator(store: Store, tmp_path: Path) -> AsyncIterator[Orchestrator]:
    services = ModelServices(tmp_path)
    for version in ("v1", "v2"):
        write_bundle(services.bundles, version)
    await services.start()
    made = Orchestrator(store, services.mesh)
    await store.upsert_items(TENANT, [item(item_id) for item_id in ITEMS])
    await made.serve("v1")
    yield made
    await services.close()


@pytest.fixture
async def routes(orchestrator: Orchestrator) -> AsyncIterator[RouteServiceAsyncStub]:
    async with running(orchestrator.definition(), orchestrator.settings) as server:
        stub: RouteServiceAsyncStub = RouteServiceStub(server.channel)
        yield stub


def route(**weights: int) -> pb.Route:
    versions = {"usual": ""}
    arms = [pb.RouteArm(name=name, version=versions.get(name, name), weight=weight) for name, weight in weights.items()]
    return pb.Route(task="recommend", arms=arms)


async def set_route(routes: RouteServiceAsyncStub, wanted: pb.Route) -> Outcome:
    return await outcome_of(routes.SetRoute(pb.SetRouteRequest(route=wanted)))


async def recommend(orchestrator: Orchestrator, user_id: str) -> recommendation_pb.RecommendResponse:
    message = recommendation_pb.RecommendRequest(user_id=user_id, page_size=3)
    return await orchestrator.recommender.recommend(TENANT, message)


async def test_users_are_shared_out_by_weight_and_stay_where_they_are(
    routes: RouteServiceAsyncStub, orchestrator: Orchestrator, store: Store
) -> None:
    stored = (await set_route(routes, route(usual=3, v2=1))).reply.route
    assert stored.key == pb.ROUTE_KEY_USER
    assert stored.update_time.seconds > 0
    users = [f"user-{number}" for number in range(60)]
    await like(store, users[0], ITEMS[1])
    answers = {user: await recommend(orchestrator, user) for user in users}
    shares = Counter((answer.arm, answer.bundle_version) for answer in answers.values())
    assert shares.keys() == {("usual", "v1"), ("v2", "v2")}
    assert 5 <= shares["v2", "v2"] <= 27
    assert (await recommend(orchestrator, users[7])).arm == answers[users[7]].arm
    slate = await store.get_slate(TENANT, answers[users[0]].slate_id)
    assert slate is not None
    assert (slate.arm, slate.bundle_version) == (answers[users[0]].arm, answers[users[0]].bundle_version)


async def test_a_bundle_that_is_missing_changes_nothing(routes: RouteServiceAsyncStub, store: Store) -> None:
    await set_route(routes, route(usual=1))
    refused = await set_route(routes, route(usual=9, v9=1))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "v9" in refused.message
    assert [len(one.arms) for one in await store.list_routes(TENANT)] == [1]


async def test_an_arm_without_its_bundle_falls_back_to_the_serving_one(
    routes: RouteServiceAsyncStub, orchestrator: Orchestrator, store: Store
) -> None:
    await set_route(routes, route(v2=1))
    orchestrator.bundles._known.pop((TENANT, "v2"))
    answer = await recommend(orchestrator, "ann")
    assert (answer.bundle_version, answer.arm, answer.degraded) == ("v1", "", True)


async def test_an_arm_may_name_a_ranker_of_its_bundle(
    routes: RouteServiceAsyncStub, orchestrator: Orchestrator, store: Store
) -> None:
    arm = pb.RouteArm(name="straight", model="linear", version="v1", weight=1)
    await set_route(routes, pb.Route(task="recommend", arms=[arm]))
    await like(store, "ann", ITEMS[1])
    answer = await recommend(orchestrator, "ann")
    assert (answer.bundle_version, answer.arm, answer.degraded) == ("v1", "straight", False)
    assert [step.model for step in answer.steps if step.step == "rank"] == ["ranker linear"]


async def test_a_ranker_that_the_bundle_does_not_have_is_replaced_and_said(
    routes: RouteServiceAsyncStub, orchestrator: Orchestrator
) -> None:
    arm = pb.RouteArm(name="dream", model="oracle", version="v1", weight=1)
    await set_route(routes, pb.Route(task="recommend", arms=[arm]))
    answer = await recommend(orchestrator, "ann")
    assert (answer.arm, answer.degraded) == ("", True)
    [lost] = [step for step in answer.steps if step.step == "ranker"]
    assert "oracle" in lost.detail
    assert "linear" in lost.detail


async def test_routes_are_listed_read_and_deleted(routes: RouteServiceAsyncStub) -> None:
    await set_route(routes, route(usual=1))
    assert (await routes.GetRoute(pb.GetRouteRequest(task="recommend"))).route.task == "recommend"
    assert len((await routes.ListRoutes(pb.ListRoutesRequest())).routes) == 1
    await routes.DeleteRoute(pb.DeleteRouteRequest(task="recommend"))
    gone = await outcome_of(routes.GetRoute(pb.GetRouteRequest(task="recommend")))
    assert gone.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": "dance"}, "route.task"),
        ({"arms": []}, "route.arms"),
        ({"arms": [pb.RouteArm(name="a", weight=0)]}, "route.arms"),
        ({"arms": [pb.RouteArm(name="a", weight=1), pb.RouteArm(name="a", weight=1)]}, "route.arms"),
        ({"arms": [pb.RouteArm(name="no spaces", weight=1)]}, "route.arms[0].name"),
        ({"arms": [pb.RouteArm(name="a", model="no spaces", weight=1)]}, "route.arms[0].model"),
        ({"arms": [pb.RouteArm(name="a", version="../x", weight=1)]}, "route.arms[0].version"),
        ({"arms": [pb.RouteArm(name="a", weight=-1)]}, "route.arms[0].weight"),
        ({"salt": "x" * 65}, "route.salt"),
        ({"key": 9}, "route.key"),
    ],
)
async def test_bad_routes_are_refused(routes: RouteServiceAsyncStub, change: dict[str, Any], field: str) -> None:
    wanted: dict[str, Any] = {"task": "recommend", "arms": [pb.RouteArm(name="a", weight=1)]}
    refused = await set_route(routes, pb.Route(**(wanted | change)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert any(name.startswith(field) for name in refused.violations), refused.violations
