"""Answers of the mesh as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from marquee.common.v1 import report_pb2
from marquee.entertainment.v1.recommendation_service_pb2 import RecommendedItem

_OUTCOMES: dict[int, str] = {
    report_pb2.STEP_OUTCOME_OK: "[green]ok[/]",
    report_pb2.STEP_OUTCOME_SKIPPED: "[dim]skipped[/]",
    report_pb2.STEP_OUTCOME_FALLBACK: "[yellow]fallback[/]",
    report_pb2.STEP_OUTCOME_FAILED: "[red]failed[/]",
}


def plain_table(title: str = "", **options: object) -> Table:
    """Return a table in the look that all tables share."""
    return Table(title=escape(title) or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, **options)  # type: ignore[arg-type]


def items_table(
    title: str, items: Sequence[RecommendedItem], *, explain: bool = True, marks: Mapping[str, str] | None = None
) -> Table:
    """Return a list with its reasons.

    Args:
        title: heading.
        items: the list, best first.
        explain: show why each item is there.
        marks: markup to show before the title of an item, by item id.
    """
    table = plain_table(title)
    table.add_column("#", justify="right", style="dim")
    if marks is not None:
        table.add_column("")
    table.add_column("title", style="bold", overflow="fold", min_width=20)
    table.add_column("tags", style="cyan", overflow="fold", min_width=10)
    table.add_column("score", justify="right")
    explain = explain and any(item.reasons for item in items)
    if explain:
        table.add_column("why", overflow="fold", ratio=1)
    for rank, item in enumerate(items, 1):
        row = [str(rank), escape(item.title), escape(", ".join(item.tags)), f"{item.score:.3f}"]
        if marks is not None:
            row.insert(1, marks.get(item.item_id, ""))
        if explain:
            row.append(escape(" ".join(reason.text for reason in item.reasons)))
        table.add_row(*row)
    return table


def steps_table(steps: Iterable[report_pb2.StepReport], total_milliseconds: float, note: str = "") -> Table:
    """Return how an answer was made.

    Args:
        steps: the steps of the answer; some run at the same time.
        total_milliseconds: duration of the whole call as its caller saw it.
        note: what to know about that duration.
    """
    table = plain_table("How it was made")
    for name in ("step", "service", "model", "version"):
        table.add_column(name, overflow="fold")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    table.add_column("outcome")
    table.add_column("note", style="dim", overflow="fold")
    for one in steps:
        table.add_row(
            escape(one.step),
            one.service,
            escape(one.model),
            escape(one.version),
            f"{one.milliseconds:.1f}",
            f"{one.milliseconds / max(total_milliseconds, 1e-9):.0%}",
            _OUTCOMES.get(one.outcome, "?"),
            escape(one.detail),
        )
    table.add_section()
    table.add_row("[bold]whole call[/]", "", "", "", f"[bold]{total_milliseconds:.1f}[/]", "", "", escape(note))
    return table


def megabytes(count: int) -> str:
    """Return a number of bytes for a person."""
    return f"{count / 1e6:,.0f} MB"
