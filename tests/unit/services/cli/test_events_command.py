"""`marquee events`, `bundle` and `route` against a real orchestrator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_events_are_written_listed_exported_and_erased(run: Run, target: str, tmp_path: Path) -> None:
    assert "written as e1" in run("events", "write", "u1", "f1", "like", "--id", "e1").output
    assert "was there before" in run("events", "write", "u1", "f1", "like", "--id", "e1").output
    assert "other content" in run("events", "write", "u1", "f2", "like", "--id", "e1").output
    assert run("events", "write", "u1", "f2", "play", "--watched", "0.5").exit_code == 0
    listed = run("events", "list", "u1").output
    assert "play 0.5" in listed
    assert "like" in listed
    exported = tmp_path / "all.jsonl"
    assert "2 to" in run("events", "export", str(exported)).output
    assert [json.loads(line)["item_id"] for line in exported.read_text().splitlines()] == ["f1", "f2"]
    person = tmp_path / "u1.jsonl"
    assert "2 events and 0 lists" in run("events", "export-user", "u1", str(person)).output
    assert run("events", "erase-user", "u1", stdin="n\n").exit_code == 1
    assert "erased 2 events" in run("events", "erase-user", "u1", "--yes").output
    assert run("events", "list", "u1").exit_code == 1


def test_a_wrong_kind_names_the_right_ones(run: Run, target: str) -> None:
    result = run("events", "write", "u1", "f1", "danced")
    assert result.exit_code == 2
    assert "purchase" in result.output


def test_bundles_and_routes_say_what_is_missing(run: Run, target: str) -> None:
    assert "none yet" in run("bundle", "show").output
    assert run("bundle", "rollback").exit_code == 1
    assert run("bundle", "activate", "v1").exit_code != 0
    assert "No routes" in run("route", "list").output
    assert "serving one" in run("route", "set", "--arm", "usual=:95", "--arm", "same=:5").output
    assert "95.0%" in run("route", "list").output
    assert run("route", "set", "--arm", "new").exit_code == 2
    assert run("route", "delete").exit_code == 0
    assert run("route", "delete").exit_code == 1
