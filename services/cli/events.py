"""`marquee events`: write, read and export what users did; hand out and erase what is kept about one of them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.markup import escape

from marquee.entertainment.v1 import event_service_pb2 as pb
from services.cli.connection import connected
from services.cli.console import output, stage
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee events write u1 f1 like

  marquee events write u1 f1 play --watched 0.8

  marquee import events plays.jsonl          [dim]# many; again is harmless[/]

  marquee events list u1

  marquee events export all.jsonl

  marquee events export-user u1 u1.jsonl     [dim]# everything that is kept about a user[/]

  marquee events erase-user u1
"""

app = typer.Typer(no_args_is_help=True)

_PREFIX = "EVENT_KIND_"
_KINDS = [name.removeprefix(_PREFIX).lower() for name in pb.EventKind.keys()[1:]]
User = Annotated[str, typer.Argument(help="User.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines; replaced when it exists.")]


@app.command()
def write(
    user: User,
    item: Annotated[str, typer.Argument(help="Item.")],
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(_KINDS)}.")],
    event_id: Annotated[str, typer.Option("--id", help="Id of the event; a new one when left out.")] = "",
    watched: Annotated[float | None, typer.Option(help="Watched fraction of a play, 0 to 1.")] = None,
    rating: Annotated[float | None, typer.Option(help="Rating, 0.5 to 5.")] = None,
    weight: Annotated[float | None, typer.Option(help="Weight of a custom event, -10 to 10.")] = None,
    token: Annotated[str, typer.Option(help="Attribution token of the list that it followed from.")] = "",
    target: TargetOption = None,
) -> None:
    """Write one event. It is on disk when the command returns."""
    if kind not in _KINDS:
        raise CommandFailed(f"{kind!r} is no kind of event", f"Use one of {', '.join(_KINDS)}.", EXIT_WRONG_INPUT)
    event = pb.Event(
        event_id=event_id or uuid.uuid4().hex,
        user_id=user,
        item_id=item,
        kind=pb.EventKind.Value(_PREFIX + kind.upper()),
        watched_fraction=watched,
        rating=rating,
        custom_weight=weight,
        attribution_token=token,
    )
    with connected(target) as client:
        answer = client.write_events([event])
    if answer.conflicting_event_ids:
        output.print(f"[yellow]{escape(event.event_id)} is stored with other content, which stays[/]")
    elif answer.erased_count:
        output.print("[yellow]dropped: the user was erased after this happened[/]")
    elif answer.duplicate_count:
        output.print(f"{escape(event.event_id)} was there before")
    else:
        output.print(f"[green]✓[/] written as {escape(event.event_id)}")


@app.command("list")
def list_events(
    user: User,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Events wanted.")] = 20,
    target: TargetOption = None,
) -> None:
    """Show a user's newest events."""
    table = plain_table()
    for column in ("when", "what", "item", "id"):
        table.add_column(column, overflow="fold")
    with connected(target) as client:
        for number, event in enumerate(client.list_user_events(user, page_size=min(count, 1_000))):
            if number == count:
                break
            when = event.event_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
            table.add_row(when, _what(event), escape(event.item_id), escape(event.event_id))
    output.print(titled(f"Newest events of {user} (UTC)", table))


@app.command()
def export(
    file: File,
    after: Annotated[int, typer.Option(min=0, help="Only events stored after this sequence number.")] = 0,
    target: TargetOption = None,
) -> None:
    """Write all events into a file, in the order they were stored."""
    with connected(target) as client, file.open("w", encoding="utf-8") as lines, stage("Events") as work:
        count = 0
        for event in client.export_events(after_sequence=after):
            lines.write(_json(event))
            count += 1
        work.note = f"{count:,} to {file}"


@app.command()
def export_user(user: User, file: File, target: TargetOption = None) -> None:
    """Write everything that is kept about a user into a file: events, then the lists that were shown."""
    with connected(target) as client, file.open("w", encoding="utf-8") as lines, stage(f"User {user}") as work:
        events = lists = 0
        for part in client.export_user(user):
            for message in (*part.events, *part.lists):
                lines.write(_json(message))
            events, lists = events + len(part.events), lists + len(part.lists)
        work.note = f"{events:,} events and {lists:,} lists to {file}"


@app.command()
def erase_user(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    target: TargetOption = None,
) -> None:
    """Erase everything that is kept about a user. It cannot be undone."""
    if not yes:
        typer.confirm(f"Erase everything that is kept about {user}?", abort=True)
    with connected(target) as client:
        receipt = client.erase_user(user)
    output.print(
        f"[green]✓[/] erased {receipt.event_count:,} events and {receipt.list_count:,} lists at "
        f"{receipt.erase_time.ToJsonString()}"
    )


def _what(event: pb.Event) -> str:
    what = pb.EventKind.Name(event.kind).removeprefix(_PREFIX).lower()
    for name in ("watched_fraction", "rating", "custom_weight"):
        if event.HasField(name):
            what += f" {getattr(event, name):.3g}"
    return what


def _json(message: Message) -> str:
    fields = json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None, ensure_ascii=False)
    return fields + "\n"
