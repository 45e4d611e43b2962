"""Ranges of a clip that are worth clipping, found in the scores of its seconds.

A range begins at a second whose score is high and goes on while the score is not low (a threshold with hysteresis, as
J. Canny, "A Computational Approach to Edge Detection", 1986, uses for edges): a dip does not cut it, and noise that
never gets high does not begin one. Ranges that are near each other are one.

What is high depends on the clip. Scores are probabilities, and in a game where notable moments are rare even the best
seconds stay below one half: there, the seconds that come near the clip's best are its highlights. A clip in which
nothing stands out has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from marquee.common.v1 import media_pb2
from marquee.common.v1.media_pb2 import (
    GAMEPLAY_EVENT_DAMAGE,
    GAMEPLAY_EVENT_IDLE,
    GAMEPLAY_EVENT_KILL,
    GAMEPLAY_EVENT_LIFE_LOST,
    GAMEPLAY_EVENT_SCORE,
    EventProbability,
)
from marquee.entertainment.v1 import media_service_pb2 as pb

HIGH, SHARE_OF_BEST, LEAST_HIGH = 0.5, 0.8, 0.2
"""A second begins a range from one half on, or from a share of the clip's best score if that is less, but not below the
last: in recorded play the best second of a minute without anything notable scored less in seven cases of eight."""
LOW_SHARE = 0.6
"""A range goes on down to this share of what begins one."""
MERGED_GAP_SECONDS, PADDING_SECONDS = 2.0, 1.0
"""Ranges further apart than the gap do not meet when they are padded on both sides."""
LONGEST_SECONDS = 60
EVENT_FROM = 0.5
"""Probability from which on an event counts as happened."""
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_Event: TypeAlias = media_pb2.GameplayEvent.ValueType


@dataclass(frozen=True, slots=True)
class ScoredSecond:
    """One second.

    Attributes:
        start: in seconds.
        end: in seconds.
        score: how worth clipping it is, 0 to 1.
        events: probability of each event, 0 to 1.
    """

    start: float
    end: float
    score: float
    events: dict[_Event, float]


def find_highlights(seconds: Sequence[ScoredSecond], count: int) -> list[pb.Highlight]:
    """Return up to `count` ranges that do not overlap, best first.

    Args:
        seconds: in the order of their times; there may be holes.
        count: ranges to return.
    """
    high = high_score(second.score for second in seconds)
    ranges = [_at_most(part, LONGEST_SECONDS) for part in _merged(_ranges(seconds, high))]
    found = [_highlight(part, seconds[0].start, seconds[-1].end) for part in ranges]
    return sorted(found, key=lambda one: (-one.score, one.start_seconds))[:count]


def high_score(scores: Iterable[float]) -> float:
    """Return the score, 0.2 to 0.5, from which on a second of a clip with such scores begins a range."""
    return max(LEAST_HIGH, min(HIGH, SHARE_OF_BEST * max(scores, default=0.0)))


def _ranges(seconds: Sequence[ScoredSecond], high: float) -> list[list[ScoredSecond]]:
    """Return runs of neighbours that are not low and of which one is high."""
    low = LOW_SHARE * high
    runs: list[list[ScoredSecond]] = []
    run: list[ScoredSecond] = []
    for second in seconds:
        if run and (second.score < low or second.start > run[-1].end):
            runs.append(run)
            run = []
        if second.score >= low:
            run.append(second)
    runs.append(run)
    return [run for run in runs if any(second.score >= high for second in run)]


def _merged(ranges: Sequence[list[ScoredSecond]]) -> list[list[ScoredSecond]]:
    merged: list[list[ScoredSecond]] = []
    for part in ranges:
        if merged and part[0].start - merged[-1][-1].end <= MERGED_GAP_SECONDS:
            merged[-1] = [*merged[-1], *part]
        else:
            merged.append(part)
    return merged


def _at_most(part: list[ScoredSecond], longest: int) -> list[ScoredSecond]:
    """Return the neighbours of highest score in sum."""
    if len(part) <= longest:
        return part
    total = best = sum(second.score for second in part[:longest])
    first = 0
    for start in range(1, len(part) - longest + 1):
        total += part[start + longest - 1].score - part[start - 1].score
        if total > best:
            best, first = total, start
    return part[first : first + longest]


def _highlight(part: Sequence[ScoredSecond], first: float, last: float) -> pb.Highlight:
    best: dict[_Event, float] = {}
    for second in part:
        for event, probability in second.events.items():
            if event != GAMEPLAY_EVENT_IDLE:
                best[event] = max(probability, best.get(event, 0.0))
    ordered = sorted(best, key=lambda event: -best[event])
    happened = [event for event in ordered if best[event] >= EVENT_FROM] or ordered[:1]
    start, end = max(first, part[0].start - PADDING_SECONDS), min(last, part[-1].end + PADDING_SECONDS)
    return pb.Highlight(
        start_seconds=start,
        end_seconds=end,
        score=max(second.score for second in part),
        events=[EventProbability(event=event, probability=best[event]) for event in happened],
        reason=reason_of(part),
    )


def reason_of(part: Sequence[ScoredSecond]) -> str:
    """Return what happens in a range, as one sentence: an event counts once for each second that it is likely in."""
    counts = {
        event: sum(second.events.get(event, 0.0) >= EVENT_FROM for second in part)
        for event in (GAMEPLAY_EVENT_KILL, GAMEPLAY_EVENT_LIFE_LOST, GAMEPLAY_EVENT_SCORE, GAMEPLAY_EVENT_DAMAGE)
    }
    told = []
    if kills := counts[GAMEPLAY_EVENT_KILL]:
        told.append("a kill" if kills == 1 else f"{_number(kills)} kills")
    if lives := counts[GAMEPLAY_EVENT_LIFE_LOST]:
        told.append("a life lost" if lives == 1 else f"{_number(lives)} lives lost")
    if scored := counts[GAMEPLAY_EVENT_SCORE]:
        told.append("points scored" if scored == 1 else f"points scored {_number(scored)} times")
    if counts[GAMEPLAY_EVENT_DAMAGE]:
        told.append("damage taken")
    length = round(part[-1].end - part[0].start)
    within = f"within {length} seconds" if length > 1 else "within a second"
    if not told:
        return f"the play stands out {within}"
    *others, last = told
    return f"{', '.join(others)} and {last} {within}" if others else f"{last} {within}"


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"
