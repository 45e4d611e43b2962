from __future__ import annotations

from services.orchestrator.insight.bursts import find_bursts


def test_a_person_is_no_burst() -> None:
    assert find_bursts([]) == []
    assert find_bursts([float(second * 2) for second in range(500)]) == []
    assert find_bursts([0.0] * 20) == []


def test_too_many_at_once_are_one_burst() -> None:
    [burst] = find_bursts([0.0, *[1_000.0] * 50, 5_000.0])
    assert (burst.first, burst.last, burst.count) == (1, 50, 50)
    assert "more than 20 within a second" in burst.reason


def test_a_fast_hour_is_a_burst() -> None:
    [burst] = find_bursts([number * 3.0 for number in range(1_100)])
    assert "an hour" in burst.reason


def test_two_bursts_far_apart_are_two() -> None:
    found = find_bursts([*[0.0] * 30, *[9_999.0] * 40])
    assert [one.count for one in found] == [30, 40]
