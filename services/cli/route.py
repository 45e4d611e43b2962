"""`marquee route`: share users out over bundles, for experiments and canaries."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from rich.markup import escape

from marquee.entertainment.v1 import route_service_pb2 as pb
from services.cli.connection import connected
from services.cli.console import output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.settings import TargetOption
from services.cli.tables import plain_table, titled

EPILOG = """
[bold]Examples[/]

  marquee route set --arm usual=:95 --arm new=20261124-101500:5   [dim]# 5 % of the users get the new bundle[/]

  marquee route set --arm new=20261124-101500:100                 [dim]# all of them do[/]

  marquee route list

  marquee route delete                                            [dim]# the serving bundle answers everybody again[/]

[dim]An arm is NAME=VERSION:WEIGHT; an empty version means the serving bundle, whichever that is.[/]
"""

app = typer.Typer(no_args_is_help=True)

_ARM = re.compile(r"(?P<name>[^=]+)=(?P<version>[^:]*):(?P<weight>\d{1,9})")
Task = Annotated[str, typer.Option("--task", help="What is routed.")]


@app.command("set")
def set_route(
    arm: Annotated[list[str], typer.Option("--arm", metavar="NAME=VERSION:WEIGHT", help="One arm; give all of them.")],
    by_request: Annotated[
        bool, typer.Option("--by-request", help="Choose anew for every call instead of once for each user.")
    ] = False,
    salt: Annotated[str, typer.Option(help="Another salt shares the users out anew.")] = "",
    task: Task = "recommend",
    target: TargetOption = None,
) -> None:
    """Set the route of a task. Nothing changes unless every model service has the bundles of all arms."""
    route = pb.Route(
        task=task,
        key=pb.ROUTE_KEY_REQUEST if by_request else pb.ROUTE_KEY_USER,
        arms=[_arm(text) for text in arm],
        salt=salt,
    )
    with connected(target) as client:
        show_routes([client.set_route(route, timeout=120)])


@app.command("list")
def list_routes(target: TargetOption = None) -> None:
    """Show all routes with the share of each arm."""
    with connected(target) as client:
        routes = client.list_routes()
    if routes:
        show_routes(routes)
    else:
        output.print("No routes: the serving bundle answers everybody.")


@app.command()
def delete(task: Task = "recommend", target: TargetOption = None) -> None:
    """Delete a route: the serving bundle answers everybody again."""
    with connected(target) as client:
        client.delete_route(task)
    output.print(f"[green]✓[/] no route for {escape(task)} any more")


def _arm(text: str) -> pb.RouteArm:
    found = _ARM.fullmatch(text)
    if found is None:
        raise CommandFailed(
            f"--arm {text!r} is not NAME=VERSION:WEIGHT", "For example --arm new=20261124-101500:5", EXIT_WRONG_INPUT
        )
    return pb.RouteArm(name=found["name"], version=found["version"], weight=int(found["weight"]))


def show_routes(routes: list[pb.Route]) -> None:
    """Print routes with the share of each arm."""
    for route in routes:
        total = sum(arm.weight for arm in route.arms)
        table = plain_table()
        for column in ("arm", "bundle"):
            table.add_column(column, overflow="fold")
        for column in ("weight", "share"):
            table.add_column(column, justify="right")
        for arm in route.arms:
            version = escape(arm.version) or "[dim]the serving one[/]"
            table.add_row(escape(arm.name), version, f"{arm.weight:,}", f"{arm.weight / total:.1%}")
        by = "by request" if route.key == pb.ROUTE_KEY_REQUEST else "by user"
        output.print(titled(f"{route.task}, {by}", table))
