"""The short form of the drills, as `make chaos ARGS=--short` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 240


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    figures = tmp_path_factory.mktemp("drills") / "figures.json"
    finished = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--short", "--json", str(figures)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "protos/python", "services/client"])},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    loaded: list[dict[str, Any]] = json.loads(figures.read_text())
    return loaded


@pytest.mark.timeout(LONGEST_SECONDS + 10)
def test_no_acknowledged_event_is_lost_or_doubled(outcomes: list[dict[str, Any]]) -> None:
    assert len(outcomes) == 3
    for one in outcomes:
        assert one["acknowledged"] > 500, one
        assert (one["lost"], one["doubled"]) == (0, 0), one


def test_lists_fail_only_with_their_orchestrator(outcomes: list[dict[str, Any]]) -> None:
    for one in outcomes:
        assert one["calls"] > 50, one
        assert one["failures_are_part_of_it"] or not one["failed"], one


def test_lists_keep_their_deadline_and_say_what_was_missing(outcomes: list[dict[str, Any]]) -> None:
    hung = next(one for one in outcomes if one["name"] == "classical hung")
    assert hung["degraded"] > 0
    assert hung["missing"]["candidates/classical"] > 0
    assert hung["p99_milliseconds"] < hung["deadline_milliseconds"]
