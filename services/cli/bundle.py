"""`marquee bundle`: which bundle of recommenders serves, and how to change that."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape

from services.cli.connection import connected
from services.cli.console import output
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, steps_table, titled

EPILOG = """
[bold]Examples[/]

  marquee bundle show

  marquee bundle activate 20261124-101500

  marquee bundle rollback              [dim]# back to the one that served before, at once[/]
"""

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(target: TargetOption = None) -> None:
    """Tell which bundle serves, which one served before, and how far the data has moved on since."""
    with connected(target) as client:
        bundle = client.serving_bundle()
    table = plain_table()
    table.add_column("")
    table.add_column("", overflow="fold")
    table.add_row("serving", escape(bundle.version) or "[dim]none yet: run `marquee train`[/]")
    table.add_row("before", escape(bundle.previous_version) or "[dim]none[/]")
    table.add_row("items", f"{bundle.item_count:,} in the bundle, {bundle.catalog_count:,} in the catalogue")
    table.add_row("events", f"fitted up to number {bundle.event_watermark:,}; {bundle.event_count:,} stored now")
    output.print(titled("Bundle", table))


@app.command()
def activate(
    version: Annotated[str, typer.Argument(help="Version of the bundle, as `marquee train` printed it.")],
    target: TargetOption = None,
) -> None:
    """Make a bundle the serving one, once every model service has loaded and checked it."""
    with connected(target) as client:
        start = time.perf_counter()
        answer = client.activate_bundle(version, timeout=120)
    _tell(answer.version, answer.previous_version, answer.steps, start)


@app.command()
def rollback(target: TargetOption = None) -> None:
    """Go back to the bundle that served before."""
    with connected(target) as client:
        start = time.perf_counter()
        answer = client.rollback_bundle(timeout=120)
    _tell(answer.version, answer.previous_version, answer.steps, start)


def _tell(version: str, previous: str, steps: object, start: float) -> None:
    milliseconds = (time.perf_counter() - start) * 1000
    output.print(steps_table(steps, milliseconds))  # type: ignore[arg-type]  # repeated fields have no public type
    output.print(f"[green]✓[/] {escape(version)} serves now; before: {escape(previous) or 'none'}")
