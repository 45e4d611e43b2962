"""`marquee report`: how the arms of a route did."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer
from rich.markup import escape

from marquee.entertainment.v1.experiment_service_pb2 import Estimate
from services.cli.connection import connected
from services.cli.console import output
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee report                        [dim]# all lists that are kept, a week unless set up otherwise[/]

  marquee report --days 2 --surface home

[dim]An event follows from a list when it carries an attribution token of it: send them with what users do. Intervals
are of 95 %. A difference whose interval holds zero may be chance.[/]
"""


def report(
    days: Annotated[float | None, typer.Option(help="Only lists of the last so many days.", show_default=False)] = None,
    surface: Annotated[str, typer.Option(help="Only lists shown here.", show_default=False)] = "",
    target: TargetOption = None,
) -> None:
    """Compare the arms of the route by what followed from their lists."""
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days) if days else None
    with connected(target) as client:
        arms = client.arm_report(start=start, surface=surface)
    if not arms:
        output.print("No list of that time is kept. `marquee recommend USER` makes one.")
        return
    table = plain_table()
    for heading in ("arm", "bundle"):
        table.add_column(heading)
    for heading in ("lists", "users", "followed", "difference", "watched a list", "explored (SNIPS)"):
        table.add_column(heading, justify="right")
    for one in arms:
        table.add_row(
            escape(one.arm or "no route"),
            escape(one.bundle_version),
            f"{one.list_count:,}",
            f"{one.user_count:,}",
            _figure(one.click_through, "{:.1%}"),
            _figure(one.click_through_difference, "{:+.1%}") if one.HasField("click_through_difference") else "",
            _figure(one.watched, "{:.2f}"),
            _figure(one.explored_snips, "{:.1%}") if one.HasField("explored_snips") else "",
        )
    output.print(titled("What followed from the lists", table))


def _figure(estimate: Estimate, form: str) -> str:
    return f"{form.format(estimate.value)} [dim]({form.format(estimate.low)} to {form.format(estimate.high)})[/]"
