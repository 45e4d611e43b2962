"""`marquee insight`: what can be said about a user."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.markup import escape

from services.cli.connection import connected
from services.cli.console import output
from services.cli.recommend import AsJson
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee insight 196                [dim]# return, engagement, value, next session, likings of user 196[/]

  marquee insight 196 --days 7       [dim]# within the next week[/]

  marquee insight 196 --as-of 1998-01-01 --days 14

[dim]The models were fitted on public logs; their cards in services/classical/models say how well they predict.[/]
"""


def insight(
    user: Annotated[str, typer.Argument(help="User to tell about.")],
    days: Annotated[float, typer.Option(help="How far ahead to look.")] = 30.0,
    as_of: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day (UTC) to look from, instead of now.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    target: TargetOption = None,
) -> None:
    """Tell what a user is likely to do, likes, and is like."""
    with connected(target) as client:
        now = as_of.replace(tzinfo=datetime.UTC) if as_of else None
        found = client.user_insight(user, horizon_days=days, now=now)
    if as_json:
        typer.echo(json_format.MessageToJson(found, preserving_proto_field_name=True))
        return
    table = plain_table()
    table.add_column("within")
    table.add_column(f"{days:g} days", justify="right")
    said = json_format.MessageToDict(found, preserving_proto_field_name=True)
    for name, field, form in (
        ("comes again", "return_probability", "{:.0%}"),
        ("does not (churn)", "churn_probability", "{:.0%}"),
        ("sessions", "expected_sessions", "{:.2f}"),
        ("value, in event weights", "expected_value", "{:.2f}"),
        ("days until the next session", "next_session_days", "{:.1f}"),
    ):
        table.add_row(name, form.format(said[field]) if field in said else "[yellow]unknown[/]")
    for affinity in found.affinities:
        table.add_row(f"likes {escape(affinity.tag)}", f"{affinity.share:.0%}, {affinity.lift:.1f} times the usual")
    last = found.last_time.ToDatetime(tzinfo=datetime.UTC)
    notes = [f"{found.event_count} events in {found.session_count} sessions, the last on {last:%Y-%m-%d}."]
    if found.segment:
        notes.append(f"Segment: {escape(found.segment)}.")
    notes += [f"[yellow]Burst[/]: {escape(burst.reason)}." for burst in found.bursts]
    output.print(titled(f"User {user}", table, *notes))
    if found.degraded:
        output.print("[yellow]degraded:[/] the classical service did not answer; --json says which part is missing")
