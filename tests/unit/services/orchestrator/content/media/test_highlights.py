"""Ranges that are worth clipping."""

from __future__ import annotations

import itertools

import pytest

from marquee.common.v1 import media_pb2
from services.orchestrator.content.media.highlights import LONGEST_SECONDS, ScoredSecond, find_highlights, reason_of

KILL, DAMAGE, SCORE, LOST, IDLE = (
    media_pb2.GAMEPLAY_EVENT_KILL,
    media_pb2.GAMEPLAY_EVENT_DAMAGE,
    media_pb2.GAMEPLAY_EVENT_SCORE,
    media_pb2.GAMEPLAY_EVENT_LIFE_LOST,
    media_pb2.GAMEPLAY_EVENT_IDLE,
)


def seconds(scores: list[float], start: int = 0) -> list[ScoredSecond]:
    return [ScoredSecond(start + index, start + index + 1, score, {}) for index, score in enumerate(scores)]


def ranges(scores: list[float], count: int = 50) -> list[tuple[float, float]]:
    return [(one.start_seconds, one.end_seconds) for one in find_highlights(seconds(scores), count)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], []),
        ([0.19] * 5, []),
        ([0.9], [(0, 1)]),
        ([0.0, 0.0, 0.9, 0.0, 0.0], [(1, 4)]),
        # A dip that is not low does not cut; what leads up to it belongs to it.
        ([0.0, 0.0, 0.35, 0.9, 0.4, 0.8, 0.0, 0.0], [(1, 7)]),
        # Two seconds apart is near, three is not.
        ([0.9, 0.0, 0.0, 0.9], [(0, 4)]),
        ([0.9, 0.0, 0.0, 0.0, 0.9], [(0, 2), (3, 5)]),
    ],
)
def test_ranges_begin_high_and_last_until_low(scores: list[float], expected: list[tuple[float, float]]) -> None:
    assert ranges(scores) == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # Where notable moments are rare, the best of the clip are its highlights, with what leads up to them.
        ([0.05, 0.05, 0.4, 0.2, 0.05, 0.05], [(1, 5)]),
        ([0.05, 0.05, 0.4, 0.05, 0.05, 0.05, 0.05, 0.33, 0.05], [(1, 4), (6, 9)]),
        ([0.05, 0.05, 0.4, 0.05, 0.05, 0.05, 0.05, 0.31, 0.05], [(1, 4)]),
        # A very good moment takes nothing away from good ones.
        ([0.0, 0.99, 0.0, 0.0, 0.0, 0.0, 0.51, 0.0], [(0, 3), (5, 8)]),
        # Where nothing stands out there is none, however much better than the rest one second is.
        ([0.01, 0.01, 0.19, 0.01], []),
        ([0.01, 0.01, 0.21, 0.01], [(1, 4)]),
    ],
)
def test_what_is_high_depends_on_the_clip(scores: list[float], expected: list[tuple[float, float]]) -> None:
    assert ranges(scores) == expected


def test_the_best_come_first_and_none_overlap() -> None:
    scores = [0.6, 0, 0, 0, 0.9, 0, 0, 0, 0.7, 0, 0, 0, 0.6]
    assert ranges(scores) == [(3, 6), (7, 10), (0, 2), (11, 13)]
    assert ranges(scores, 1) == [(3, 6)]
    ordered = sorted(ranges(scores))
    assert all(one[1] <= following[0] for one, following in itertools.pairwise(ordered))


def test_a_hole_in_the_video_is_not_bridged_by_a_long_range() -> None:
    found = find_highlights([*seconds([0.9, 0.9]), *seconds([0.9, 0.9], start=30)], 5)
    assert [(one.start_seconds, one.end_seconds) for one in found] == [(0, 3), (29, 32)]


def test_a_very_long_range_is_cut_to_its_best_part() -> None:
    (found,) = find_highlights(seconds([0.6] * 100 + [0.95] * LONGEST_SECONDS + [0.6] * 100), 5)
    assert (found.start_seconds, found.end_seconds) == (99, 101 + LONGEST_SECONDS)


def test_events_are_told_with_their_highest_probability() -> None:
    part = [
        ScoredSecond(0, 1, 0.9, {KILL: 0.7, DAMAGE: 0.2, IDLE: 0.9}),
        ScoredSecond(1, 2, 0.8, {KILL: 0.6, DAMAGE: 0.95, IDLE: 0.0}),
    ]
    (found,) = find_highlights(part, 5)
    assert [(one.event, round(one.probability, 2)) for one in found.events] == [(DAMAGE, 0.95), (KILL, 0.7)]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([{KILL: 0.9}], "a kill within a second"),
        ([{KILL: 0.9}, {KILL: 0.8, DAMAGE: 0.7}], "two kills and damage taken within 2 seconds"),
        ([{LOST: 0.9, SCORE: 0.9}] * 3, "three lives lost and points scored three times within 3 seconds"),
        ([{LOST: 0.6, SCORE: 0.6, DAMAGE: 0.6}], "a life lost, points scored and damage taken within a second"),
        ([{IDLE: 0.9, KILL: 0.4}], "the play stands out within a second"),
    ],
)
def test_the_reason_is_one_sentence(
    events: list[dict[media_pb2.GameplayEvent.ValueType, float]], sentence: str
) -> None:
    assert reason_of([ScoredSecond(index, index + 1, 0.9, one) for index, one in enumerate(events)]) == sentence
