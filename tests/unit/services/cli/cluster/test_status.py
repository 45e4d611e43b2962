from __future__ import annotations

import json
import time

import pytest

from services.cli.cluster.metrics_page import Page, parse_page, rates
from tests.support.kubernetes_api import FakeCluster
from tests.support.kubernetes_objects import PORTS, deployment, fill, pod
from tests.support.scripted_mesh import Script
from tests.unit.services.cli.conftest import Run

CALLS = "marquee_rpc_duration_seconds"
METHOD = 'method="/marquee.text.v1.TextService/EmbedText"'
_PAGE = f"""# TYPE {CALLS} histogram
{CALLS}_bucket{{{METHOD},code="OK",le="0.01"}} 50
{CALLS}_bucket{{{METHOD},code="OK",le="0.1"}} 100
{CALLS}_bucket{{{METHOD},code="OK",le="+Inf"}} 100
{CALLS}_count{{{METHOD},code="OK"}} 100
{CALLS}_count{{{METHOD},code="INTERNAL"}} 25
{CALLS}_count{{{METHOD},code="INVALID_ARGUMENT"}} 75
{CALLS}_count{{method="/grpc.health.v1.Health/Check",code="OK"}} 900
# TYPE marquee_queue_rows gauge
marquee_queue_rows{{model="a",version="1"}} 3
marquee_queue_rows{{model="b",version="1"}} 4
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 182000000
# TYPE process_start_time_seconds gauge
process_start_time_seconds START
"""


def page_of(age_seconds: float = 1000.0) -> str:
    return _PAGE.replace("START", str(time.time() - age_seconds))


def test_everything_of_a_mesh_in_one_view(script: Script, run: Run) -> None:
    script.pages = {"text": page_of()}
    result = run("cluster", "status")
    assert result.exit_code == 0, result.output
    for word in (
        "orchestrator 1/1",
        "…-0",
        "serving",
        "12.50%",
        "182 MB",
        "text-model",
        "Serving bundle: b1",
    ):
        assert word in result.output, result.output


def test_for_programs(script: Script, run: Run) -> None:
    script.pages = {"text": page_of()}
    said = json.loads(run("cluster", "status", "--json").output)
    assert said["serving"] is True
    assert said["components"] == {name: {"ready": 1, "wanted": 1} for name in PORTS}
    text = next(one for one in said["pods"] if one["component"] == "text")
    assert (text["health"], text["queue_rows"], text["error_share"]) == ("serving", 7.0, 0.125)
    assert text["calls_per_second"] == pytest.approx(0.2, rel=0.2)
    assert said["bundle"]["version"] == "b1"
    assert said["models"]["vision"][0]["name"] == "vision-model"


def test_what_does_not_serve_is_said(script: Script, cluster: FakeCluster, run: Run) -> None:
    cluster.put("/apis/apps/v1/namespaces/media/deployments", deployment("text", 2, ready=1))
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    cluster.put("/api/v1/namespaces/media/pods", pod("text", 1, ready=False, state=ended, restarts=4))
    result = run("cluster", "status")
    assert result.exit_code == 1
    assert "Not everything serves: pods ready: text 1 of 2" in result.output
    said = json.loads(run("cluster", "status", "--json").output)
    broken = next(one for one in said["pods"] if one["name"] == "marquee-text-1")
    assert (broken["state"], broken["restarts"], broken["health"]) == ("Error with exit code 1", 4, None)


def test_without_the_right_to_forward_ports_the_pods_are_still_shown(cluster: FakeCluster, run: Run) -> None:
    fill(cluster)
    cluster.denied = {("get", "pods/portforward")}
    result = run("cluster", "status")
    assert result.exit_code == 0
    assert "…-0" in result.output
    assert "no right to get pods/portforward in namespace media" in result.output


def test_rates_between_two_pages() -> None:
    page = parse_page(page_of())
    found = rates(page)
    assert found.calls_per_second == pytest.approx(0.2, rel=0.1)
    assert found.slow_seconds == pytest.approx(0.091)
    before = Page(page.moment - 10, 90, {"OK": 90, "INTERNAL": 25, "INVALID_ARGUMENT": 75}, {0.01: 50, 0.1: 90})
    later = rates(page, before)
    assert later.calls_per_second == pytest.approx(1.0)
    assert later.error_share == 0.0
    restarted = rates(page, Page(page.moment - 10, 0, {"OK": 1000}))
    assert restarted.calls_per_second == pytest.approx(0.2, rel=0.1)
    assert rates(Page(1.0)).error_share is None
