"""Answers of the mesh as tables for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from marquee.common.v1 import report_pb2
from marquee.entertainment.v1.recommendation_service_pb2 import REASON_KIND_HISTORY_ITEM, Reason, RecommendedItem
from services.cli.console import output

_WIDE = 110
"""Characters a line that leave room for a column of sentences."""
_OUTCOMES: dict[int, str] = {
    report_pb2.STEP_OUTCOME_OK: "[green]ok[/]",
    report_pb2.STEP_OUTCOME_SKIPPED: "[dim]skipped[/]",
    report_pb2.STEP_OUTCOME_FALLBACK: "[yellow]fallback[/]",
    report_pb2.STEP_OUTCOME_FAILED: "[red]failed[/]",
}


def printable(text: str) -> str:
    """Return a text that somebody else wrote without the characters that move, colour or turn what a terminal shows."""
    return "".join(character if _harmless(character) else "\ufffd" for character in text)


def _harmless(character: str) -> bool:
    # The joiner holds emoji together.
    return character in "\t\u200d" or unicodedata.category(character) not in {"Cc", "Cf"}


def plain_table() -> Table:
    """Return a table in the look that all tables share."""
    return Table(box=box.SIMPLE_HEAD)


def titled(title: str, table: Table, *notes: str) -> Group:
    """Return a table under a heading, with notes below it in markup; none of them makes the table wider or narrower."""
    above = [Text(title, style="bold")] if title else []
    return Group(*above, table, *(Padding(Text.from_markup(note, style="dim"), (0, 2), expand=False) for note in notes))


def items_table(
    title: str, items: Sequence[RecommendedItem], *, explain: bool = True, marks: Mapping[str, str] | None = None
) -> Group:
    """Return a list with its reasons.

    Args:
        title: heading.
        items: the list, best first.
        explain: show why each item is there.
        marks: markup to show before the title of an item, by item id.
    """
    explain = explain and any(item.reasons for item in items)
    beside = explain and output.width >= _WIDE  # else the reasons go below the title
    table = plain_table()
    table.add_column("#", justify="right", style="dim")
    if marks is not None:
        table.add_column("")
    table.add_column("title", overflow="fold", min_width=20)
    table.add_column("tags", style="cyan", overflow="fold", min_width=10)
    table.add_column("score", justify="right")
    if beside:
        table.add_column("why", overflow="fold", ratio=1)
    for rank, item in enumerate(items, 1):
        name, reasons = f"[bold]{escape(item.title)}[/]", escape(why(item.reasons)) if explain else ""
        below = f"\n[dim]{reasons}[/]" if reasons and not beside else ""
        row = [str(rank), name + below, escape(", ".join(item.tags)), f"{item.score:.3f}"]
        if marks is not None:
            row.insert(1, marks.get(item.item_id, ""))
        if beside:
            row.append(reasons)
        table.add_row(*row)
    return titled(title, table)


def why(reasons: Sequence[Reason]) -> str:
    """Return the reasons of an item as one sentence; items of the user's history with their share of the evidence."""
    history = [f"{one.title} {one.share:.0%}" for one in reasons if one.kind == REASON_KIND_HISTORY_ITEM]
    parts = dict.fromkeys(
        f"Because of {', '.join(history)}" if one.kind == REASON_KIND_HISTORY_ITEM else one.text for one in reasons
    )
    return ". ".join(parts)


def steps_table(steps: Iterable[report_pb2.StepReport], total_milliseconds: float, note: str = "") -> Group:
    """Return how an answer was made.

    Args:
        steps: the steps of the answer; some run at the same time.
        total_milliseconds: duration of the whole call as its caller saw it.
        note: what to know about that duration.
    """
    wide = output.width >= _WIDE  # else what ran is said below the table
    table = plain_table()
    for name in ("step", "service"):
        table.add_column(name, no_wrap=True)
    for name in ("model", "version") if wide else ():
        table.add_column(name, overflow="fold")
    for name in ("ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    notes = []
    for one in steps:
        model = one.model.replace("+", " + ")
        share = f"{one.milliseconds / max(total_milliseconds, 1e-9):.0%}"
        models = (escape(model), escape(one.version)) if wide else ()
        figures = (f"{one.milliseconds:.1f}", share, _OUTCOMES.get(one.outcome, "?"))
        table.add_row(escape(one.step), one.service, *models, *figures)
        if model and not wide:
            notes.append(f"{escape(one.step)}: {escape(model)} of {escape(one.version)}")
        if one.detail:
            notes.append(f"{escape(one.step)}: {escape(one.detail)}")
    table.add_section()
    table.add_row("whole call", "", *(("", "") if wide else ()), f"{total_milliseconds:.1f}", "", "", style="bold")
    return titled("How it was made", table, *notes, *([f"whole call: {escape(note)}"] if note else []))


def megabytes(count: int) -> str:
    """Return a number of bytes for a person."""
    return f"{count / 1e6:,.0f} MB"
