from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marquee.entertainment.v1 import route_service_pb2 as route_pb
from services.cli.cluster import verdict
from tests.support.scripted_mesh import Script
from tests.unit.services.cli.conftest import Run

SHORT = ("--minutes", "0.08", "--probe-rate", "30")


@pytest.fixture
def canary(script: Script, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(verdict, "_FEWEST_PROBES", 1)  # a machine under load makes few in five seconds

    def start(*words: str, stdin: str | None = None) -> tuple[Any, dict[str, Any], str]:
        common = ("--bundle", "b2", "--report", str(tmp_path), *SHORT)
        result = run("cluster", "route", "canary", *common, *words, stdin=stdin)
        reports = {one.suffix: one.read_text() for one in tmp_path.iterdir() if one.stem.startswith("canary-b2-")}
        return result, json.loads(reports.get(".json", "{}")), reports.get(".md", "")

    return start


def test_a_bundle_that_is_as_good_is_promoted(script: Script, canary: Any) -> None:
    script.lists = {"baseline": (9000, 900), "canary": (3000, 310)}
    result, report, text = canary("--decide", "auto", "--slower", "300")
    assert result.exit_code == 0, result.output
    assert script.serving == ["b2", "b1"]
    assert script.routes == {}
    assert report["decision"] == "promote"
    assert report["lists"] == {"baseline": 9000, "canary": 3000}  # without the probes
    assert report["probes"] >= 1
    assert text.startswith("# Canary of bundle b2\n\n**Promote**: nothing is worse than the limits allow.")
    assert "| click-through | 10.00% (9.40% to 10.64%) | 10.33%" in text
    assert all(len(session) == 5 for session in script.sessions)


def test_failures_end_it_early(script: Script, canary: Any) -> None:
    script.failing_every = {"canary": 2}
    result, report, _ = canary("--decide", "auto", "--minutes", "5")
    assert result.exit_code == 1
    assert "the new bundle is worse: failed" in result.output
    assert report["seconds"] < 200
    assert report["confidence_percent"] == 99.9
    assert script.serving == ["b1", "b0"]
    assert script.routes == {}


def test_too_little_is_no_promotion(script: Script, canary: Any) -> None:
    result, report, _ = canary("--decide", "auto", "--slower", "300")
    assert result.exit_code == 1
    assert report["decision"] == "undecided"
    assert "too little is known: click-through" in result.output
    assert script.serving == ["b1", "b0"]


def test_left_as_it_is(script: Script, canary: Any) -> None:
    result, _, _ = canary("--decide", "never", "--min-lists", "0", "--slower", "300")
    assert result.exit_code == 0, result.output
    arms = {one.name: (one.version, one.weight) for one in script.routes["recommend"].arms}
    assert arms == {"baseline": ("b1", 90), "canary": ("b2", 10)}
    assert "marquee cluster bundle promote b2" in result.output


def test_a_route_that_is_there_is_not_taken_over_unasked(script: Script, canary: Any) -> None:
    earlier = route_pb.Route(task="recommend", arms=[route_pb.RouteArm(name="mine", weight=1)])
    script.routes["recommend"] = earlier
    result, _, _ = canary("--decide", "auto")
    assert result.exit_code == 1
    assert "has a route already" in result.output
    script.failing_every = {"canary": 2}
    result, report, _ = canary("--decide", "auto", "--replace", "--minutes", "5")
    assert script.routes["recommend"] == earlier
    assert "is as it was before" in report["action"]


def test_nobody_to_ask_and_nothing_to_try(script: Script, canary: Any) -> None:
    assert "there is nobody to ask" in canary()[0].output
    script.serving = ["b2", "b1"]
    assert "bundle b2 serves already" in canary("--decide", "auto")[0].output
    assert script.routes == {}


def test_routes_are_listed_and_deleted(script: Script, run: Run) -> None:
    assert "the serving bundle answers everybody" in run("cluster", "route", "list").output
    script.routes["recommend"] = route_pb.Route(task="recommend", arms=[route_pb.RouteArm(name="mine", weight=1)])
    assert "100.0%" in run("cluster", "route", "list").output
    assert run("cluster", "route", "delete").exit_code == 0
    assert script.routes == {}
