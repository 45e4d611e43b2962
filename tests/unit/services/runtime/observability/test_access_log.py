from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from services.runtime.observability.access_log import AccessLog, Mode

METHOD = "/marquee.text.v1.TextService/EmbedText"
Lines = list[Any]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("all", ["OK", "OK", "NOT_FOUND"]), ("slow", ["OK", "NOT_FOUND"]), ("failures", ["NOT_FOUND"])],
)
def test_each_mode_logs_its_calls(mode: Mode, expected: list[str], lines: Lines) -> None:
    log = AccessLog(mode, slow_seconds=0.5)
    log.finished(METHOD, grpc.StatusCode.OK, 0.1, "a")
    log.finished(METHOD, grpc.StatusCode.OK, 0.6, "b")
    log.finished(METHOD, grpc.StatusCode.NOT_FOUND, 0.1, "c", "MODEL_NOT_FOUND", "no such model")
    assert [line["code"] for line in lines] == expected


def test_a_failure_says_why_and_of_which_call(lines: Lines) -> None:
    AccessLog("failures").finished(METHOD, grpc.StatusCode.NOT_FOUND, 0.0123456, "abc", "MODEL_NOT_FOUND", "no model")
    (line,) = lines
    assert line["log_level"] == "warning"
    assert line["request_id"] == "abc"
    assert line["method"] == METHOD
    assert line["reason"] == "MODEL_NOT_FOUND"
    assert line["message"] == "no model"
    assert line["milliseconds"] == 12.346


def test_who_leaves_is_no_warning(lines: Lines) -> None:
    AccessLog("all").finished(METHOD, grpc.StatusCode.CANCELLED, 0.1, "a", "CALLER_LEFT")
    assert lines[0]["log_level"] == "info"


def test_a_storm_of_refusals_writes_few_lines_and_counts_the_rest(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("services.runtime.observability.access_log.time.monotonic", lambda: now)
    log = AccessLog("failures", lines_a_second=10)
    for _ in range(1_000):
        log.finished(METHOD, grpc.StatusCode.RESOURCE_EXHAUSTED, 0.001, "a", "QUEUE_FULL")
    assert len(lines) == 10
    now = 101.0
    log.finished(METHOD, grpc.StatusCode.RESOURCE_EXHAUSTED, 0.001, "a", "QUEUE_FULL")
    assert lines[10]["count"] == 990
    assert lines[11]["code"] == "RESOURCE_EXHAUSTED"


def test_all_means_all(lines: Lines) -> None:
    log = AccessLog("all", lines_a_second=10)
    for _ in range(50):
        log.finished(METHOD, grpc.StatusCode.UNAVAILABLE, 0.001, "a")
    assert len(lines) == 50
