"""What a timeline shows of each second: rows of events, objects and unsafe frames, and the curve above them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.cli.media.story import EVENTS, ClipStory

_COLOURS = {"score": "#12805c", "kill": "#c62828", "damage": "#c4620a", "life lost": "#6a1b9a", "idle": "#546e7a"}
_OBJECT_COLOUR, _UNSAFE_COLOUR = "#1c6fb0", "#ad1457"
_MOST_OBJECTS = 6
_MOST_COLUMNS = 1_000


@dataclass(frozen=True)
class Row:
    """A strip below the curve.

    Attributes:
        name: what it shows.
        kind: rows of one kind lie together.
        colour: colour of certainty.
        values: probability or score, 0 to 1, by the index of the segment.
        truth: seconds in which it really happened, where somebody knows.
    """

    name: str
    kind: Literal["event", "object", "safety"]
    colour: str
    values: Mapping[int, float]
    truth: list[int] = field(default_factory=list)


def rows(story: ClipStory) -> list[Row]:
    """Return the rows for which there is anything to show: events, the objects seen most, unsafe frames."""
    found: list[Row] = []
    if any(segment.events for segment in story.segments):
        for event, name in EVENTS.items():
            values = {
                index: one.probability
                for index, segment in enumerate(story.segments)
                for one in segment.events
                if one.event == event
            }
            truth = sorted(second for second, names in story.truth.items() if name in names)
            found.append(Row(name, "event", _COLOURS[name], values, truth))
    found += _object_rows(story)
    unsafe = {
        index: segment.unsafe_probability
        for index, segment in enumerate(story.segments)
        if segment.HasField("unsafe_probability")
    }
    if unsafe:
        found.append(Row("not safe", "safety", _UNSAFE_COLOUR, unsafe))
    return found


def curve(story: ClipStory) -> tuple[list[float], list[float]]:
    """Return times and how worth clipping it is from each of them on; the last time ends the curve."""
    seconds = [segment for segment in story.segments if segment.HasField("highlight")]
    if not seconds:
        return [], []
    times = [segment.start_seconds for segment in seconds]
    values = [segment.highlight for segment in seconds]
    return [*times, seconds[-1].end_seconds], [*values, values[-1]]


def columns(story: ClipStory, values: Mapping[int, float]) -> list[float]:
    """Return a row's cells: a second each, or in a long clip the highest of several."""
    count = len(story.segments)
    together = -(-count // _MOST_COLUMNS)
    return [
        min(max(max((values.get(at, 0.0) for at in range(start, min(start + together, count))), default=0.0), 0.0), 1.0)
        for start in range(0, count, together)
    ]


def _object_rows(story: ClipStory) -> list[Row]:
    scores: dict[str, dict[int, float]] = {}
    for index, segment in enumerate(story.segments):
        for one in segment.objects:
            by_second = scores.setdefault(one.label, {})
            by_second[index] = max(one.score, by_second.get(index, 0.0))
    most = sorted(scores, key=lambda label: (-sum(scores[label].values()), label))[:_MOST_OBJECTS]
    return [Row(label, "object", _OBJECT_COLOUR, scores[label]) for label in most]
