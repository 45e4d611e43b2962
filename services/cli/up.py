"""`marquee up`: the whole mesh on this machine, until Ctrl-C."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from services.cli.console import errors, output
from services.cli.failures import EXIT_FAILED
from services.cli.local_mesh import DEFAULT_PORT, LocalMesh
from services.cli.log_view import LogFollower, is_quiet_line, render_line
from services.cli.signals import stop_signals_as_interrupts
from services.cli.supervisor import Supervisor
from services.cli.tables import megabytes, plain_table

EPILOG = """
[bold]Examples[/]

  marquee up                       [dim]# ports 50060 to 50063 of this machine[/]

  marquee up --port 51000 --data /tmp/mesh --quiet

[dim]Ctrl-C lets calls in flight finish and leaves no process behind. A service that dies is started again. Logs stay in
<data>/logs. Options of a single service are environment variables, for example MARQUEE_TEXT_ENGINES=1.[/]
"""
_LOOK_SECONDS = 0.2
Port = Annotated[int, typer.Option(help="Port of the orchestrator; text, vision, classical take the next three.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder for store, bundles and logs. [dim]Variable MARQUEE_DATA_DIRECTORY.[/]", file_okay=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]


def up(port: Port = DEFAULT_PORT, data: Data = None, quiet: Quiet = False) -> None:
    """Run the four services on this machine and show their logs, until Ctrl-C."""
    with stop_signals_as_interrupts():
        try:
            with LocalMesh(data, port) as mesh:
                show_start(mesh)
                target = "" if port == DEFAULT_PORT else f" --target {mesh.addresses['orchestrator']}"
                output.print(f"[bold]Ready.[/] In another terminal: [bold]marquee status{target}[/]. Ctrl-C stops it.")
                gave_up = _show_logs(mesh, quiet)
                output.print("Stopping …")
        except KeyboardInterrupt:
            gave_up = False
    output.print("Stopped; no process is left.")
    if gave_up:
        raise typer.Exit(EXIT_FAILED)


def show_start(mesh: LocalMesh) -> None:
    """Wait until the mesh is ready and show each service becoming so.

    Raises:
        MeshNotReady: see `LocalMesh.wait_ready`.
    """
    if output.is_terminal:
        # Few pictures a second: drawing must not take the processor from the services that start.
        with Live(get_renderable=lambda: _table(mesh), console=output, refresh_per_second=4):
            mesh.wait_ready()
        return
    said: set[str] = set()

    def say() -> None:
        for name, one in mesh.services.items():
            if one.startup_seconds is not None and name not in said:
                said.add(name)
                memory = megabytes(one.resident_bytes())
                output.print(f"{name} serves at {one.address} after {one.startup_seconds:.1f} s, {memory}")

    mesh.wait_ready(watch=say)


def _table(mesh: LocalMesh) -> Table:
    table = plain_table()
    for column in ("service", "address", "state"):
        table.add_column(column)
    table.add_column("start", justify="right")
    table.add_column("memory", justify="right")
    for name, one in mesh.services.items():
        ready = one.startup_seconds is not None
        state = (
            "[green]serving[/]" if ready else "[red]ended[/]" if one.exit_code is not None else "[yellow]starting[/]"
        )
        seconds = one.startup_seconds if one.startup_seconds is not None else one.age_seconds()
        table.add_row(name, escape(one.address), state, f"{seconds:.1f} s", megabytes(one.resident_bytes()))
    return table


def _show_logs(mesh: LocalMesh, quiet: bool) -> bool:
    """Print the logs until Ctrl-C; returns True when the orchestrator could not be kept running."""
    follower = LogFollower({name: one.log_path for name, one in mesh.services.items()})
    supervisor = Supervisor(mesh)
    try:
        while True:
            for service, line in follower.new_lines():
                if not (quiet and is_quiet_line(line)):
                    output.print(render_line(service, line), soft_wrap=True)
            follower.limit_sizes()
            for message in supervisor.look():
                errors.print(f"[bold red]{escape(message)}[/]")
            if "orchestrator" in supervisor.given_up:
                return True
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return False
