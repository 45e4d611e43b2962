"""What is said of a clip, as tables for people."""

from __future__ import annotations

from rich.markup import escape

from marquee.common.v1 import media_pb2
from services.cli.console import output
from services.cli.media.report import (
    bar,
    clock,
    print_attachment,
    print_decision,
    print_failures,
    print_labels,
    print_similar,
    text,
)
from services.cli.media.story import EVENTS, ClipStory
from services.cli.tables import plain_table, titled

_MOST_CUTS = 30
_HAPPENED = 0.5


def print_clip(story: ClipStory, seconds: float, attached_to: str = "") -> None:
    """Print everything that was said of a clip.

    Args:
        story: its answers.
        seconds: how long the analysis took.
        attached_to: item that the clip was to be attached to.
    """
    output.print(f"[bold]{text(story.name)}[/] [dim]{_description(story.info)}[/]")
    _print_highlights(story)
    _print_cuts(story)
    _print_events(story)
    summary = story.summary
    for problem in story.problems:
        output.print(f"[yellow]{clock(problem.time_seconds)}  {text(problem.reason)}:[/] {text(problem.message)}")
    if summary is None:
        output.print("[yellow]The answer ended before its summary.[/]")
        return
    print_labels("Game", summary.games, column="game")
    print_labels("What it shows", summary.labels)
    print_labels("Objects seen, highest score", summary.objects, column="object")
    if summary.HasField("decision"):
        print_decision(summary.decision)
    print_similar(summary.similar_items)
    if summary.HasField("attachment"):
        print_attachment(attached_to, summary.attachment)
    print_failures(summary.failures)
    partial = "; [yellow]a part could not be analysed[/]" if summary.partial else ""
    output.print(
        f"{summary.analyzed_seconds:.0f} s analysed in {seconds:.1f} s: "
        f"[bold]{summary.analyzed_seconds / max(seconds, 1e-6):.1f} × real time[/]{partial}"
    )


def _description(info: media_pb2.VideoInfo) -> str:
    parts = [" ".join(word for word in (info.container, info.codec) if word)]
    if info.width:
        parts.append(f"{info.width} × {info.height}")
    if info.frames_per_second:
        parts.append(f"{info.frames_per_second:.4g} frames a second")
    if info.duration_seconds:
        parts.append(clock(info.duration_seconds))
    if info.start_seconds:
        parts.append(f"from {clock(info.start_seconds)} on")
    if info.delivery == media_pb2.VIDEO_DELIVERY_SPOOLED:
        parts.append("analysed after its upload")
    return escape(", ".join(part for part in parts if part))


def _print_highlights(story: ClipStory) -> None:
    if not story.highlights:
        return
    table = plain_table()
    table.add_column("#", justify="right", style="dim")
    table.add_column("when", no_wrap=True, style="bold")
    table.add_column("score", justify="right")
    table.add_column("")
    table.add_column("why", overflow="fold")
    for rank, one in enumerate(story.highlights, 1):
        when = f"{clock(one.start_seconds)}–{clock(one.end_seconds)}"
        table.add_row(str(rank), when, f"{one.score:.2f}", f"[magenta]{bar(one.score)}[/]", text(one.reason))
    output.print(titled("Highlights, best first", table))


def _print_cuts(story: ClipStory) -> None:
    if not story.cuts:
        return
    times = ", ".join(clock(cut.time_seconds) for cut in story.cuts[:_MOST_CUTS])
    more = f" and {len(story.cuts) - _MOST_CUTS} more" if len(story.cuts) > _MOST_CUTS else ""
    output.print(f"[bold]Scene cuts[/]  {times}{more}")


def _print_events(story: ClipStory) -> None:
    counted = {
        name: sum(
            one.probability >= _HAPPENED for segment in story.segments for one in segment.events if one.event == event
        )
        for event, name in EVENTS.items()
    }
    if any(segment.events for segment in story.segments):
        said = ", ".join(f"{name} {count}" for name, count in counted.items())
        output.print(f"[bold]Seconds with an event[/]  {said} [dim]of {len(story.segments)}[/]")
