"""GetUserInsight over a real store; with a real classical service, and without any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import insight_service_pb2 as pb
from services.classical.main import build
from services.classical.settings import ClassicalSettings
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.insight.user_insight import UserInsights
from services.orchestrator.mesh import Mesh
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.store import Store
from services.runtime.errors import InvalidRequest, NotFound
from tests.support.servers import running
from tests.unit.services.orchestrator.builders import event, item

DAY = 86_400_000_000
SETTINGS = OrchestratorSettings(ranking_seconds=20, recommend_deadline_seconds=60)


@pytest.fixture
async def insights(store: Store, tmp_path: Path) -> AsyncIterator[UserInsights]:
    settings = ClassicalSettings(port=0, bundle_repository=tmp_path)
    async with running(build(settings), settings) as server:
        mesh = Mesh({"text": "127.0.0.1:1", "vision": "127.0.0.1:1", "classical": server.address})
        snapshots = CatalogSnapshots(store, 3_600)
        yield UserInsights(store, snapshots, mesh, SETTINGS)
        await snapshots.close()
        await mesh.close()


async def fill(store: Store, user: str, *days: float) -> None:
    await store.upsert_items("default", [item("heat", tags=("Crime", "Drama")), item("big", tags=("Comedy",))])
    await store.write_events(
        "default",
        [
            event(f"{user}-{day}", user_id=user, item_id="heat" if day % 3 else "big", event_time=int(day * DAY))
            for day in days
        ],
    )


def request(user: str = "ann", now_days: float = 60.0, **fields: float) -> pb.GetUserInsightRequest:
    wanted = pb.GetUserInsightRequest(user_id=user, **fields)  # type: ignore[arg-type]
    wanted.now.FromMicroseconds(int(now_days * DAY))
    return wanted


async def test_somebody_who_comes_often_is_likelier_to_return(insights: UserInsights, store: Store) -> None:
    await fill(store, "ann", *range(1, 60, 2))
    await fill(store, "bob", 1, 2)
    ann = await insights.user_insight("default", request("ann"))
    bob = await insights.user_insight("default", request("bob"))
    assert not ann.degraded
    assert ann.return_probability > 0.6
    assert bob.return_probability < 0.4
    assert ann.churn_probability == pytest.approx(1 - ann.return_probability)
    assert ann.expected_sessions > bob.expected_sessions
    assert 0 <= ann.next_session_days < bob.next_session_days <= 30
    assert ann.expected_value >= 0
    assert ann.segment
    assert (ann.event_count, ann.session_count) == (30, 30)
    assert ann.last_time.ToMicroseconds() == 59 * DAY


async def test_likings_come_with_how_unusual_they_are(insights: UserInsights, store: Store) -> None:
    await fill(store, "ann", 1, 2, 4, 5)
    found = await insights.user_insight("default", request(affinity_count=2))
    assert {one.tag for one in found.affinities} == {"Crime", "Drama"}
    assert sum(one.share for one in found.affinities) == pytest.approx(1.0)


async def test_the_moment_decides_what_is_known(insights: UserInsights, store: Store) -> None:
    await fill(store, "ann", 1, 2, 50)
    assert (await insights.user_insight("default", request(now_days=10))).event_count == 2
    with pytest.raises(NotFound):
        await insights.user_insight("default", request(now_days=0.5))


async def test_bursts_are_told(insights: UserInsights, store: Store) -> None:
    await store.write_events("default", [event(f"b{n}", user_id="bot", event_time=DAY + n) for n in range(100)])
    found = await insights.user_insight("default", request("bot"))
    [burst] = found.bursts
    assert burst.event_count == 100


async def test_without_the_classical_service_the_events_still_speak(store: Store) -> None:
    await fill(store, "ann", 1, 2, 4)
    mesh = Mesh({"text": "127.0.0.1:1", "vision": "127.0.0.1:1", "classical": "127.0.0.1:1"})
    snapshots = CatalogSnapshots(store, 3_600)
    found = await UserInsights(store, snapshots, mesh, SETTINGS).user_insight("default", request())
    assert found.degraded
    assert not found.HasField("return_probability")
    assert found.affinities
    lost = [step for step in found.steps if step.outcome == STEP_OUTCOME_FALLBACK]
    assert len(lost) == 5
    await snapshots.close()
    await mesh.close()


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (pb.GetUserInsightRequest(), "user_id"),
        (pb.GetUserInsightRequest(user_id="ann", horizon_days=-1), "horizon_days"),
        (pb.GetUserInsightRequest(user_id="ann", horizon_days=float("nan")), "horizon_days"),
        (pb.GetUserInsightRequest(user_id="ann", affinity_count=-1), "affinity_count"),
    ],
)
async def test_bad_requests_are_refused_by_name(
    insights: UserInsights, wanted: pb.GetUserInsightRequest, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await insights.user_insight("default", wanted)
    assert [violation.field for violation in caught.value.violations] == [field]
