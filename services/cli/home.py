"""`marquee home`: a page of several rows."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from services.cli.connection import connected
from services.cli.console import output
from services.cli.recommend import AsJson, Explain, Steps
from services.cli.settings import TargetOption
from services.cli.tables import items_table, steps_table

EPILOG = """
[bold]Examples[/]

  marquee home 196                   [dim]# rows for user 196: what was begun, what fits, what is like what they had[/]

  marquee home 196 --rows 10 -n 5

[dim]No title stands in two rows. A row that would have fewer than three titles is left out.[/]
"""


def home(
    user: Annotated[str, typer.Argument(help="User the page is for.")],
    rows: Annotated[int, typer.Option("--rows", help="Rows at most.")] = 6,
    count: Annotated[int, typer.Option("--count", "-n", help="Titles in a row.")] = 5,
    explain: Explain = False,
    steps: Steps = False,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Show a home page: rows of titles without repeats."""
    with connected(target) as client:
        start = time.perf_counter()
        page = client.home_page(user, row_count=rows, page_size=count, reason_count=None if explain else 0)
        milliseconds = (time.perf_counter() - start) * 1000
    if as_json:
        typer.echo(json_format.MessageToJson(page, preserving_proto_field_name=True))
        return
    for row in page.rows:
        output.print(items_table(escape(row.title), row.items, explain=explain))
    if not page.rows:
        output.print("No row has enough titles. `marquee status` shows what is stored.")
    if page.degraded:
        output.print("[yellow]degraded:[/] a part did not answer and its fallback stood in; --steps says which")
    if steps:
        output.print(steps_table(page.steps, milliseconds, "as this command saw it, connecting included"))
