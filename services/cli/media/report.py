"""What is said of pictures and clips, as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import media_service_pb2 as pb
from services.cli.console import output
from services.cli.media.features import feature_name
from services.cli.moderate import ACTIONS
from services.cli.tables import plain_table, printable, titled

_BAR_CELLS = 20


def text(value: str) -> str:
    """Return a text of the server for output with markup."""
    return escape(printable(value))


def print_labels(title: str, labels: Sequence[media_pb2.MediaLabel], *, column: str = "label") -> None:
    """Print labels with their probabilities as bars; nothing when there are none."""
    if not labels:
        return
    table = plain_table()
    table.add_column(column)
    table.add_column("probability", justify="right")
    table.add_column("")
    for one in labels:
        table.add_row(text(one.label), f"{one.probability:.1%}", f"[cyan]{bar(one.probability)}[/]")
    output.print(titled(title, table))


def bar(share: float) -> str:
    """Draw 0 to 1 as a bar."""
    return "━" * round(min(max(share, 0.0), 1.0) * _BAR_CELLS)


def print_decision(decision: pb.MediaDecision) -> None:
    """Print what may be done, and why."""
    label, colour = ACTIONS.get(decision.action, ("not decided", "yellow"))
    known = decision.HasField("unsafe_probability")
    unsafe = f", not safe for work {decision.unsafe_probability:.1%}" if known else ""
    version = f" version {decision.policy_version}" if decision.policy_version else ""
    output.print(f"[bold {colour}]{label}[/] [dim]by policy {text(decision.policy or 'default')}{version}{unsafe}[/]")
    for reason in decision.reasons:
        when = f"{clock(reason.time_seconds)}  " if reason.HasField("time_seconds") else ""
        output.print(f"  [dim]{when}{text(reason.message)}[/]")


def print_similar(items: Sequence[pb.SimilarMediaItem]) -> None:
    """Print items of the catalogue that look alike; nothing when there are none."""
    if not items:
        return
    table = plain_table()
    table.add_column("#", justify="right", style="dim")
    table.add_column("title", style="bold")
    table.add_column("item", style="dim")
    table.add_column("similarity", justify="right")
    for rank, item in enumerate(items, 1):
        table.add_row(str(rank), text(item.title), text(item.item_id), f"{item.similarity:+.3f}")
    output.print(titled("Items that look alike", table))


def print_attachment(item_id: str, result: pb.AttachmentResult) -> None:
    """Print what became of an attachment."""
    if not result.attached:
        output.print(f"[yellow]not attached to {text(item_id)}:[/] {text(result.detail)}")
        return
    tags = f"; new tags: {', '.join(map(text, result.added_tags))}" if result.added_tags else "; no new tags"
    output.print(f"[green]✓[/] attached to {text(item_id)}{tags}")


def print_failures(failures: Sequence[pb.MediaFailure]) -> None:
    """Print features that did not answer."""
    for one in failures:
        output.print(f"[yellow]without {feature_name(one.feature)}:[/] {text(one.message)} [dim]{text(one.reason)}[/]")


def clock(seconds: float) -> str:
    """Return a time of a clip as minutes and seconds, with hours from the first hour on."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
