"""`marquee import`: fill the catalogue and the history."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Annotated, BinaryIO

import typer
from rich.markup import escape

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import Event
from marquee_client import MarqueeClient
from services.cli.connection import connected
from services.cli.console import errors, output, stage
from services.cli.failures import EXIT_FAILED
from services.cli.json_lines import Refusal, read_lines
from services.cli.movielens import LICENCE_NOTE, MovieLens, fetch_movielens
from services.cli.movielens_small import SMALL_LICENCE_NOTE, fetch_movielens_small
from services.cli.settings import TargetOption
from services.cli.upload import (
    EVENTS_PER_CALL,
    ITEMS_PER_CALL,
    EventCounts,
    EventWriter,
    ItemCounts,
    ItemWriter,
    send_all,
    send_lines,
)

_REPORTED_REFUSALS = 20

EPILOG = """
[bold]Examples[/]

  marquee import movielens

  marquee import items films.jsonl     [dim]# one item a line:[/]

  [dim]{"item_id": "f1", "title": "The Kid", "tags": ["Comedy"], "release_year": 1921}[/]

  marquee import events plays.jsonl    [dim]# one event a line:[/]

  [dim]{"event_id": "e1", "user_id": "u1", "item_id": "f1", "kind": "EVENT_KIND_LIKE",
   "event_time": "2026-11-23T20:15:00Z"}[/]

  zcat plays.jsonl.gz | marquee import events -

[dim]Fields are those of the contracts; "picture" takes the encoded picture as base64. Importing again is harmless:
items are replaced, events that are stored already are counted as duplicates.[/]
"""

app = typer.Typer(no_args_is_help=True)

File = Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="JSON lines; - reads standard input.")]


@app.command()
def movielens(
    small: Annotated[
        bool, typer.Option("--small", help="MovieLens-latest-small instead: 9,066 films, 1995 to 2016 (49 MB).")
    ] = False,
    target: TargetOption = None,
) -> None:
    """Import MovieLens-100K: 1,682 films and 100,000 ratings of 943 people. Fetched on first use (2 MB)."""
    with connected(target) as client:
        client.serving_bundle()  # nobody there? Then say so before anything is downloaded.
        import_movielens(client, MOVIELENS_LATEST_SMALL if small else MOVIELENS_100K)
    output.print("Next: [bold]marquee train[/]")


@app.command()
def items(file: File, target: TargetOption = None) -> None:
    """Import titles from a file: JSON lines, one `Item` of the contracts each."""
    with connected(target) as client:
        writer = ItemWriter(client)
        with stage("Items", _line_count(file)) as work:
            lines = read_lines(file, Item)
            refused = list(send_lines(lines, writer, ITEMS_PER_CALL, work.advance, key=lambda item: item.item_id))
            work.note = _items_note(writer.counts)
    _finish(refused)


@app.command()
def events(file: File, target: TargetOption = None) -> None:
    """Import what users did from a file: JSON lines, one `Event` of the contracts each."""
    with connected(target) as client:
        writer = EventWriter(client)
        with stage("Events", _line_count(file)) as work:
            refused = list(send_lines(read_lines(file, Event), writer, EVENTS_PER_CALL, work.advance))
            work.note = _events_note(writer.counts)
    _finish(refused)


MOVIELENS_100K = ("MovieLens-100K", fetch_movielens, LICENCE_NOTE)
MOVIELENS_LATEST_SMALL = ("MovieLens-latest-small", fetch_movielens_small, SMALL_LICENCE_NOTE)


def import_movielens(
    client: MarqueeClient, source: tuple[str, Callable[[], MovieLens], str] = MOVIELENS_100K
) -> MovieLens:
    """Fetch a data set and write it through `client`, with progress; returns what was imported."""
    name, fetch, licence = source
    output.print(f"[dim]{licence}[/]")
    with stage(f"Fetch {name}") as work:
        data = fetch()
        work.note = f"{len(data.items):,} films, {len(data.events):,} ratings"
    write_items(client, data.items, "Import films")
    with stage("Import ratings", len(data.events)) as work:
        writer = EventWriter(client)
        send_all(data.events, writer, EVENTS_PER_CALL, work.advance)
        work.note = _events_note(writer.counts)
    return data


def write_items(client: MarqueeClient, catalogue: Iterable[Item], label: str) -> None:
    """Write items that are known to be right, with progress."""
    wanted = list(catalogue)
    with stage(label, len(wanted)) as work:
        writer = ItemWriter(client)
        send_all(wanted, writer, ITEMS_PER_CALL, work.advance)
        work.note = _items_note(writer.counts)


def _items_note(counts: ItemCounts) -> str:
    later = "; some vectors follow when the model services answer" if counts.degraded else ""
    return f"{counts.created:,} new, {counts.updated:,} replaced{later}"


def _events_note(counts: EventCounts) -> str:
    return f"{counts.written:,} written, {counts.duplicates:,} there before"


def _line_count(file: BinaryIO) -> int | None:
    if not file.seekable():
        return None
    count = sum(1 for _ in file)
    file.seek(0)
    return count


def _finish(refused: list[Refusal]) -> None:
    """Report refused lines; ends the command with exit code 1 when there are some."""
    if not refused:
        return
    for one in itertools.islice(sorted(refused, key=lambda refusal: refusal.number), _REPORTED_REFUSALS):
        errors.print(f"[red]line {one.number}:[/] {escape(one.reason)}")
    if len(refused) > _REPORTED_REFUSALS:
        errors.print(f"… and {len(refused) - _REPORTED_REFUSALS:,} more")
    errors.print(f"[bold red]{len(refused):,} refused[/]; the other lines are stored. Correct them and import again.")
    raise typer.Exit(EXIT_FAILED)
