from __future__ import annotations

import json
from pathlib import Path

from services.cli.log_view import LogFollower, is_quiet_line, render_line

CALL = {
    "module": "services.runtime.interceptor",
    "method": "/marquee.text.v1.TextService/EmbedText",
    "code": "OK",
    "milliseconds": 12.345,
    "event": "call",
    "request_id": "r",
    "service": "text",
    "level": "info",
    "timestamp": "2026-11-23T21:33:39.287626Z",
}


def test_a_call_becomes_one_short_line() -> None:
    assert render_line("text", json.dumps(CALL)).plain == "text         21:33:39 EmbedText OK 12.3 ms"


def test_other_events_show_their_facts() -> None:
    entry = {"event": "serving", "port": 50061, "seconds": 1.2, "level": "info", "timestamp": CALL["timestamp"]}
    assert render_line("text", json.dumps(entry)).plain == "text         21:33:39 serving port=50061 seconds=1.2"


def test_lines_that_are_no_objects_stay_as_they_are() -> None:
    for line in ("Traceback (most recent call last):", "[1, 2]", "42", ""):
        assert render_line("vision", line).plain == f"vision       {line}"


def test_quiet_means_warnings_and_what_is_not_structured() -> None:
    assert is_quiet_line(json.dumps(CALL))
    assert not is_quiet_line(json.dumps(CALL | {"level": "warning"}))
    assert not is_quiet_line("Segmentation fault")


def test_only_whole_new_lines_are_followed_through_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "text.log"
    follower = LogFollower({"text": path})
    assert list(follower.new_lines()) == []
    path.write_bytes(b"one\ntw")
    assert list(follower.new_lines()) == [("text", "one")]
    with path.open("ab") as log:
        log.write(b"o\n")
    assert list(follower.new_lines()) == [("text", "two")]
    path.write_bytes(b"new\n")  # the mesh was started again
    assert list(follower.new_lines()) == [("text", "new")]
    assert list(follower.new_lines()) == []
