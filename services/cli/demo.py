"""`marquee demo`: the whole story, with a real user, in less than two minutes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from marquee_client import MarqueeClient
from services.cli.channels import local_tls
from services.cli.console import output
from services.cli.demo_chapters import Demo
from services.cli.local_mesh import DEFAULT_PORT, SERVICES, LocalMesh
from services.cli.ports import PortTaken, check_port
from services.cli.signals import stop_signals_as_interrupts
from services.cli.up import Data, show_start
from services.runtime.sources import DataSettings

EPILOG = """
[bold]Examples[/]

  marquee demo

  marquee demo --keep          [dim]# leave the mesh running afterwards, to play with it[/]

  marquee demo clip            [dim]# the vision family: a game is recorded, analysed and drawn[/]

[dim]Starts with an empty demo/ folder in the data folder each time; your own catalogue and events are not touched.
Every number on the screen comes from a real call.[/]
"""

_WITHOUT_TARGET = ("--help", "demo clip")
"""Commands that need no mesh, or bring their own."""

app = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")


@app.callback()
def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the mesh running at the end, until Ctrl-C.")] = False,
    chaos: Annotated[bool, typer.Option(help="Kill a service in the middle and watch.")] = True,
    data: Data = None,
) -> None:
    """Start the mesh, import MovieLens, train, recommend, break it, mend it."""
    if context.invoked_subcommand is not None:
        return
    directory = (data or DataSettings().data_directory) / "demo"
    begin = time.monotonic()
    with stop_signals_as_interrupts():
        try:
            with LocalMesh(directory, _usual_port() if keep else 0, fresh=True) as mesh:
                output.rule("[bold]Four services start", align="left")
                show_start(mesh)
                tls = local_tls("orchestrator", os.environ)
                with MarqueeClient(mesh.addresses["orchestrator"], tls=tls) as client:
                    story = Demo(mesh, client)
                    story.fill()
                    story.train()
                    story.recommend()
                    story.react()
                    story.resemble()
                    story.measure()
                    if chaos:
                        story.survive()
                    story.sum_up(time.monotonic() - begin)
                _say_what_next(mesh, keep)
                if keep:
                    while True:
                        time.sleep(1)
        except KeyboardInterrupt:
            output.print("Stopped; no process is left.")
            if not keep:
                raise typer.Exit(130) from None


def _usual_port() -> int:
    """Return the port that other commands expect when it and its neighbours are free, else 0: any free ports."""
    try:
        for number, name in enumerate(SERVICES, DEFAULT_PORT):
            check_port("127.0.0.1", number, name)
    except PortTaken:
        return 0
    return DEFAULT_PORT


def _say_what_next(mesh: LocalMesh, keep: bool) -> None:
    output.rule("[bold]Next", align="left")
    address = mesh.addresses["orchestrator"]
    target = f" --target {address}" if keep and not address.endswith(f":{DEFAULT_PORT}") else ""
    data = mesh.data_directory
    if Path.cwd() in data.parents:
        data = data.relative_to(Path.cwd())
    if keep:
        output.print("The mesh goes on until Ctrl-C. In another terminal:")
    else:
        output.print("The mesh stops, its data stays. To serve it again, and to ask it in another terminal:")
        output.print(f"  [bold]marquee up --data {escape(str(data))}[/]")
    for command, meaning in (
        ("recommend 196 --tag Comedy", "a list for somebody else"),
        ("similar 50", "titles like Star Wars"),
        ('search "shawshenk redemtion"', "by words and meaning, typing errors forgiven"),  # codespell:ignore
        ("write why 196 50 --kind film", "why somebody might like it, from true reasons"),
        ('moderate "gg wp" "you m0r0n"', "what a chat would be allowed to say"),
        ("demo clip", "a game is recorded, its events and highlights are found and drawn"),
        ("status", "what runs, what is loaded, what is stored"),
        ("--help", "everything else"),
    ):
        output.print(
            f"  [bold]marquee {command}{target if command not in _WITHOUT_TARGET else ''}[/]  [dim]# {meaning}[/]"
        )
