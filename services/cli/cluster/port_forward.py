"""`marquee cluster port-forward`: the services of the cluster on ports of this machine."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.markup import escape

from services.cli.cluster.mesh import any_ready_pod, chosen_release
from services.cli.cluster.options import ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.release import COMPONENTS, ORCHESTRATOR, Release, port_of
from services.cli.cluster.tunnel import Tunnel
from services.cli.console import errors, output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed

EPILOG = """
[bold]Examples[/]

  marquee cluster port-forward                     [dim]# all services, on the ports of `marquee up`[/]

  marquee cluster port-forward orchestrator --port 9000

  marquee cluster port-forward text --kind metrics --port 9464

[dim]Prints the variables that lead every other command there. When a pod goes away, the next connection reaches
another one.[/]
"""
_KINDS = ("grpc", "metrics", "health")


def port_forward(
    components: Annotated[
        list[str] | None, typer.Argument(help="Components. [dim]Else all.[/]", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="First local port; 0 takes free ones. [dim]Else the service's own.[/]",
            min=0,
            max=65535,
            show_default=False,
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help="Which port of the pods: grpc, metrics or health.")] = "grpc",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Forward ports of this machine to the services, until Ctrl-C."""
    if kind not in _KINDS:
        raise CommandFailed(f"--kind {kind!r} is none of: {', '.join(_KINDS)}", exit_code=EXIT_WRONG_INPUT)
    chosen = chosen_release(Where(context, namespace, release))
    names = components or chosen.components
    with ExitStack() as stack:
        tunnels = {
            name: stack.enter_context(_tunnel(chosen, name, kind, port + place if port else port))
            for place, name in enumerate(names)
        }
        for name, tunnel in tunnels.items():
            if kind == "grpc" and name in COMPONENTS:
                variable = "MARQUEE_TARGET" if name == ORCHESTRATOR else f"MARQUEE_{name.upper()}_TARGET"
                print(f"export {variable}={tunnel.address}", flush=True)
            else:
                print(f"# {name}, {kind}: {tunnel.address}", flush=True)
        errors.print("[dim]# Forwarding until Ctrl-C. In another shell: the lines above, then `marquee status`.[/]")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            output.print()


def _tunnel(release: Release, component: str, kind: str, local_port: int | None) -> Tunnel:
    port = port_of(release.deployment(component), kind)
    wanted = port if local_port is None else local_port
    try:
        return Tunnel(
            release.api,
            any_ready_pod(release, component),
            port,
            local_port=wanted,
            tell=lambda said: errors.print(f"[dim]# {component}: {escape(said)}[/]"),
        )
    except OSError as error:
        raise CommandFailed(
            f"port {wanted} of this machine is taken ({error.strerror})",
            "Choose another with --port, or 0 for free ones.",
        ) from error
