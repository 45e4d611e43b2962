"""Any or all model services killed or hung: `Recommend` still answers within its deadline, flagged degraded."""

from __future__ import annotations

import os
import signal
import time

import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK
from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee_client import MarqueeClient
from services.cli.local_mesh import LocalMesh

pytestmark = pytest.mark.e2e

USER = "405"
DEADLINE_SECONDS = 2.0


def recommend_in_time(client: MarqueeClient) -> pb.RecommendResponse:
    start = time.monotonic()
    answer = client.recommend(USER, timeout=DEADLINE_SECONDS)
    assert time.monotonic() - start < DEADLINE_SECONDS
    seen = {event.item_id for event in client.list_user_events(USER)}
    assert len(answer.items) == 10
    assert not seen & {item.item_id for item in answer.items}
    return answer


def fallen_back(answer: pb.RecommendResponse) -> set[str]:
    return {step.service for step in answer.steps if step.outcome == STEP_OUTCOME_FALLBACK}


@pytest.mark.parametrize("service", ["text", "classical"])
def test_one_killed(service: str, whole_mesh: LocalMesh, client: MarqueeClient) -> None:
    whole_mesh.kill(service)
    answer = recommend_in_time(client)
    assert answer.degraded
    assert fallen_back(answer) == {service}


def test_vision_killed_touches_no_list_without_pictures(whole_mesh: LocalMesh, client: MarqueeClient) -> None:
    whole_mesh.kill("vision")
    assert not recommend_in_time(client).degraded


def test_all_killed_and_back(whole_mesh: LocalMesh, client: MarqueeClient) -> None:
    for service in ("text", "vision", "classical"):
        whole_mesh.kill(service)
    answer = recommend_in_time(client)
    assert answer.degraded
    assert {source for item in answer.items for source in item.sources} <= {"popularity", "trending"}
    similar = client.similar_items("50", timeout=DEADLINE_SECONDS)
    assert similar.degraded
    assert similar.items


@pytest.mark.parametrize("service", ["text", "classical"])
def test_one_hung(service: str, whole_mesh: LocalMesh, client: MarqueeClient) -> None:
    process = whole_mesh.pids[service]
    os.kill(process, signal.SIGSTOP)
    try:
        answer = recommend_in_time(client)
        assert answer.degraded
        assert service in fallen_back(answer)
    finally:
        os.kill(process, signal.SIGCONT)


def test_orchestrator_restart_keeps_everything(whole_mesh: LocalMesh, client: MarqueeClient) -> None:
    events = client.serving_bundle().event_count
    before = [item.item_id for item in client.recommend(USER).items]
    whole_mesh.kill("orchestrator")
    whole_mesh.restart("orchestrator")
    whole_mesh.wait_ready()
    deadline = time.monotonic() + 30
    while (answer := client.recommend(USER)).degraded and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [item.item_id for item in answer.items] == before
    assert client.serving_bundle().event_count == events
