"""`marquee catalog`: the catalogue, from the command line."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from marquee.entertainment.v1.catalog_service_pb2 import Item
from services.cli.catalog.columns import LISTS, NUMBERS, TIMES, item_of
from services.cli.catalog.formats import READERS, WRITERS, format_of
from services.cli.catalog.importing import CatalogImport, first_refusals
from services.cli.catalog.progress import ImportProgress
from services.cli.connection import connected
from services.cli.console import errors, output, stage
from services.cli.failures import EXIT_FAILED, EXIT_WRONG_INPUT, CommandFailed
from services.cli.settings import TargetOption, command_settings

EPILOG = """
[bold]Examples[/]

  marquee catalog import films.csv

  marquee catalog import films.parquet   [dim]# cut off? The same command goes on where it stopped[/]

  marquee catalog get f1

  marquee catalog update f1 --set title="The Kid" --set tags="Comedy|Silent" --set end_time=2027-01-01

  marquee catalog export films.jsonl

  marquee catalog delete f1

[bold]Columns of CSV and Parquet[/]

  item_id and title; description, picture_uri, locale, maturity_age, release_year, tags, regions, entitlements,
  start_time, end_time. Lists are separated by | in CSV, and lists of strings in Parquet; times are like
  2026-11-24T20:15:00Z.

[dim]JSON lines hold one Item of the contracts each, pictures as base64. Rows that are refused go to FILE.refused.jsonl,
the others are stored.[/]
"""

app = typer.Typer(no_args_is_help=True)

_SHOWN_REFUSALS = 10
Format = Annotated[str | None, typer.Option("--format", help=f"{', '.join(READERS)}; by the suffix when left out.")]
ItemId = Annotated[str, typer.Argument(metavar="ITEM", help="Id of the item.")]


@app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="JSON lines, CSV or Parquet.")
    ],
    form: Format = None,
    target: TargetOption = None,
) -> None:
    """Create or replace items from a file. Can be cut off and called again; refused rows are reported."""
    rows = READERS[format_of(file, form)](file)
    first = list(itertools.islice(rows, 1))  # a wrong header ends the command before anything is written
    report = file.with_name(file.name + ".refused.jsonl")
    progress = ImportProgress(file, target or command_settings().target)
    mode = "a" if progress.rows else "w"
    with connected(target) as client, report.open(mode, encoding="utf-8") as refused, stage("Items") as work:
        if progress.rows:
            output.print(f"[dim]going on behind row {progress.rows:,}[/]")
        done = CatalogImport(client, progress, refused, work)
        done.run(itertools.chain(first, rows))
        later = "; some vectors follow when the model services answer" if done.degraded else ""
        work.note = f"{done.created:,} new, {done.updated:,} replaced, {done.refused:,} refused{later}"
    progress.over()
    if not done.refused:
        report.unlink()
        return
    for sentence in first_refusals(report, _SHOWN_REFUSALS):
        errors.print(f"[red]{escape(sentence)}[/]")
    errors.print(f"[bold red]{done.refused:,} refused[/], all of them in {escape(str(report))}; the others are stored.")
    raise typer.Exit(EXIT_FAILED)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="Replaced when it exists.")],
    form: Format = None,
    target: TargetOption = None,
) -> None:
    """Write the whole catalogue into a file that `import` takes."""
    write = WRITERS[format_of(file, form)]
    with connected(target) as client, stage("Items") as work:
        # What was exported before is replaced by a whole file or not at all.
        draft = file.with_name(file.name + ".new")
        try:
            count = write(draft, client.list_items(page_size=1_000))
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        work.note = f"{count:,} to {file}"


@app.command()
def get(item: ItemId, target: TargetOption = None) -> None:
    """Show one item as JSON."""
    with connected(target) as client:
        found = client.get_item(item)
    output.print_json(json_format.MessageToJson(found, preserving_proto_field_name=True))


@app.command()
def update(
    item: ItemId,
    changes: Annotated[
        list[str], typer.Option("--set", metavar="COLUMN=VALUE", help="A column and its new value; empty clears it.")
    ],
    target: TargetOption = None,
) -> None:
    """Change single fields of an item; the others stay."""
    wanted, paths = _changes(item, changes)
    with connected(target) as client:
        found = client.update_item(wanted, paths)
    output.print_json(json_format.MessageToJson(found, preserving_proto_field_name=True))


@app.command()
def delete(item: ItemId, target: TargetOption = None) -> None:
    """Delete one item; its events stay."""
    with connected(target) as client:
        client.delete_item(item)
    output.print(f"[green]✓[/] {escape(item)} is deleted")


def _changes(item_id: str, changes: list[str]) -> tuple[Item, list[str]]:
    values: dict[str, str] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name == "item_id":
            raise CommandFailed(
                f"--set {change!r} is not COLUMN=VALUE", 'Such as --set title="The Kid".', EXIT_WRONG_INPUT
            )
        values[name] = value
    known = {"title", "description", "picture_uri", "locale", *NUMBERS, *LISTS, *TIMES}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise CommandFailed(
            f"unknown column {unknown[0]!r}", f"Known are {', '.join(sorted(known))}.", EXIT_WRONG_INPUT
        )
    try:
        wanted = item_of(values)
    except ValueError as error:
        raise CommandFailed(str(error), "", EXIT_WRONG_INPUT) from error
    wanted.item_id = item_id
    limits = {"regions", "entitlements", *TIMES}
    return wanted, [f"availability.{name}" if name in limits else name for name in values]
