"""Compares what was found in a clip with what its game's engine counted."""

from __future__ import annotations

from dataclasses import dataclass

from services.cli.console import output
from services.cli.media.recording import Recording
from services.cli.media.story import EVENTS, ClipStory
from services.cli.tables import plain_table, titled

_HAPPENED = 0.5
_CUT_SECONDS = 0.5


@dataclass(frozen=True)
class Agreement:
    """Seconds of a clip with an event, by who says so.

    Attributes:
        event: its name.
        real: seconds in which the engine counted it.
        found: seconds with a probability of one half and more.
        right: seconds in both.
    """

    event: str
    real: int
    found: int
    right: int


def agreements(story: ClipStory, truth: dict[int, set[str]]) -> list[Agreement]:
    """Return how well each event was found; none when events were not analysed."""
    seconds = {
        round(segment.start_seconds): {
            EVENTS[one.event] for one in segment.events if one.event in EVENTS and one.probability >= _HAPPENED
        }
        for segment in story.segments
        if segment.events
    }
    made = []
    for event in EVENTS.values() if seconds else ():
        real = {second for second in seconds if event in truth.get(second, ())}
        found = {second for second, names in seconds.items() if event in names}
        made.append(Agreement(event, len(real), len(found), len(real & found)))
    return made


def cuts_found(story: ClipStory, cuts: list[float]) -> int:
    """Return how many of a recording's changes of scene were found, within half a second."""
    return sum(any(abs(one.time_seconds - cut) <= _CUT_SECONDS for one in story.cuts) for cut in cuts)


def print_agreement(story: ClipStory, recording: Recording) -> None:
    """Print what was found beside what really happened."""
    table = plain_table()
    table.add_column("seconds with")
    for name in ("engine counted", "found", "right", "missed", "wrong"):
        table.add_column(name, justify="right")
    counted = agreements(story, recording.truth)
    for one in counted:
        right = f"[green]{one.right}[/]"
        table.add_row(
            one.event, str(one.real), str(one.found), right, str(one.real - one.right), str(one.found - one.right)
        )
    if counted:
        note = "A second counts as found from a probability of one half on."
        output.print(titled("Found, and what the game's engine counted", table, note))
    else:
        output.print("[yellow]No events were analysed, so there is nothing to compare with the engine's count.[/]")
    output.print(
        f"Changes of scene: {cuts_found(story, recording.cuts)} of {len(recording.cuts)} found, {len(story.cuts)} said."
    )
