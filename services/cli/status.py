"""`marquee status`: what runs, what it has loaded, what is stored."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import Annotated

import grpc
import psutil
import typer
from rich.markup import escape
from rich.table import Table

from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.common.v1.model_repository_pb2_grpc import ModelRepositoryServiceStub
from marquee.entertainment.v1.bundle_service_pb2 import GetServingBundleResponse
from marquee_client import MarqueeClient, MarqueeError
from services.cli.channels import open_channel
from services.cli.console import output
from services.cli.failures import EXIT_FAILED
from services.cli.health import Health, HealthProbe
from services.cli.local_mesh import SERVICES
from services.cli.ports import listening_process
from services.cli.settings import TargetOption, command_settings
from services.cli.tables import megabytes, plain_table, titled
from services.cli.tls import command_tls, tls_problem

EPILOG = """
[bold]Examples[/]

  marquee status

  marquee status --wait 60                             [dim]# until everything serves, at most a minute[/]

  marquee status --target 127.0.0.1:51000              [dim]# a mesh from `marquee up --port 51000`[/]

  MARQUEE_TEXT_TARGET=10.0.0.7:50061 marquee status    [dim]# a service somewhere else[/]

[dim]Exit code 1 when something does not serve: use it in scripts and probes.[/]
"""
STATE_WORDS: dict[int, str] = {
    repository_pb.MODEL_STATE_READY: "[green]ready[/]",
    repository_pb.MODEL_STATE_LOADING: "[yellow]loading[/]",
    repository_pb.MODEL_STATE_FAILED: "[red]refused[/]",
    repository_pb.MODEL_STATE_UNLOADING: "[yellow]unloading[/]",
    repository_pb.MODEL_STATE_UNLOADED: "not loaded",
}
_HEALTH = {
    "serving": "[green]serving[/]",
    "not serving": "[yellow]not serving[/]",
    "unreachable": "[red]unreachable[/]",
}
_SECONDS = 2.0
_PAUSE_SECONDS = 0.1


@dataclass
class ServiceStatus:
    """What one service says about itself; lists are empty when it does not answer."""

    name: str
    target: str
    health: Health
    models: list[repository_pb.ModelStatus] = field(default_factory=list)
    bundles: list[repository_pb.Bundle] = field(default_factory=list)
    resident_bytes: int = 0


def status(
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait for everything to serve, at most this long.", min=0)
    ] = 0.0,
    target: TargetOption = None,
) -> None:
    """Show the health of the services, their models, and what the store holds."""
    targets = service_targets(target)
    orchestrator = targets["orchestrator"]
    if wait:
        _wait_until_all_serve(list(targets.values()), wait)
    with HealthProbe(orchestrator, command_tls()) as probe:
        found = [ServiceStatus("orchestrator", orchestrator, probe.look(_SECONDS))]
    found[0].resident_bytes = _resident_bytes(orchestrator)
    found += [look_at_model_service(name, targets[name]) for name in SERVICES[1:]]
    output.print(titled("Services", services_table(found)))
    models = models_table(found)
    if models.row_count:
        output.print(titled("Models", models))
    if found[0].health == "serving":
        with MarqueeClient(orchestrator, timeout=_SECONDS, tls=command_tls()) as client:
            _print_store(client)
    if found[0].health == "unreachable" and (problem := tls_problem(orchestrator)):
        raise problem
    if any(one.health != "serving" for one in found):
        nobody = all(one.health == "unreachable" for one in found)
        output.print("Start the mesh with [bold]marquee up[/]." if nobody else "[red]Not everything serves.[/]")
        raise typer.Exit(EXIT_FAILED)


def service_targets(target: str | None) -> dict[str, str]:
    """Return where each service of the mesh listens.

    Args:
        target: value of the `--target` option; None takes the settings' address.
    """
    settings = command_settings()
    orchestrator = target or settings.target
    return {
        name: getattr(settings, f"{name}_target", "") or _neighbour(orchestrator, distance)
        for distance, name in enumerate(SERVICES)
    }


def _wait_until_all_serve(targets: list[str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    tls = command_tls()
    probes = [HealthProbe(target, tls) for target in targets]
    with output.status("Waiting for everything to serve …"), contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(probe) for probe in probes]
        while waiting and time.monotonic() < deadline:
            waiting = [probe for probe in waiting if probe.look(_SECONDS) != "serving"]
            time.sleep(_PAUSE_SECONDS if waiting else 0)


def _resident_bytes(target: str) -> int:
    """Return the memory of a service on this machine that does not report it itself; 0 for one elsewhere."""
    host, _, port = target.rpartition(":")
    if host not in ("127.0.0.1", "localhost", "[::1]") or not port.isdigit():
        return 0
    process = listening_process(int(port))
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss) if process is not None else 0
    return 0


def _neighbour(target: str, distance: int) -> str:
    """Return the address that `marquee up` gives a service: so many ports after the orchestrator's."""
    host, colon, port = target.rpartition(":")
    return f"{host}{colon}{int(port) + distance}" if port.isdigit() else target


def look_at_model_service(name: str, target: str) -> ServiceStatus:
    """Ask a model service for its health, models, bundles and memory."""
    with HealthProbe(target, command_tls()) as probe:
        found = ServiceStatus(name, target, probe.look(_SECONDS))
    if found.health == "unreachable":
        return found
    with open_channel(target, tls=command_tls()) as channel:
        repository = ModelRepositoryServiceStub(channel)
        try:
            listed = repository.ListModels(repository_pb.ListModelsRequest(), timeout=_SECONDS)
            loaded = repository.ListBundles(repository_pb.ListBundlesRequest(), timeout=_SECONDS)
        except grpc.RpcError:
            return found
    found.models, found.bundles = list(listed.models), list(loaded.bundles)
    found.resident_bytes = listed.resident_bytes
    return found


def services_table(found: list[ServiceStatus]) -> Table:
    """Return one row a service."""
    table = plain_table()
    for column in ("service", "address", "health", "bundles loaded"):
        table.add_column(column, overflow="fold")
    table.add_column("memory", justify="right")
    for one in found:
        bundles = ", ".join(f"{bundle.version} ({_parts(bundle)})" for bundle in one.bundles)
        memory = megabytes(one.resident_bytes) if one.resident_bytes else ""
        table.add_row(one.name, escape(one.target), _HEALTH[one.health], escape(bundles), memory)
    return table


def models_table(found: list[ServiceStatus]) -> Table:
    """Return one row a model version."""
    table = plain_table()
    for column in ("service", "model", "version", "task", "state", "runs on"):
        table.add_column(column, overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("load", justify="right")
    for one in found:
        for model in one.models:
            state = STATE_WORDS.get(model.state, "?") + (f" {escape(model.reason)}" if model.reason else "")
            provider = model.execution_provider.removesuffix("ExecutionProvider")
            load = f"{model.load_milliseconds:,} ms"
            row = (one.name, model.name, model.version, model.task, state, provider)
            table.add_row(*row, megabytes(model.size_bytes), load)
    return table


def _parts(bundle: repository_pb.Bundle) -> str:
    return ", ".join([*bundle.scorers, *(f"ranker {name}" for name in bundle.rankers)]) or "nothing for this service"


def _print_store(client: MarqueeClient) -> None:
    try:
        stored = client.serving_bundle()
    except MarqueeError as error:
        output.print(f"[red]The store does not answer:[/] {escape(error.message)}")
        return
    output.print(f"Stored: [bold]{stored.catalog_count:,}[/] items, [bold]{stored.event_count:,}[/] events.")
    output.print(_bundle_line(stored))


def _bundle_line(stored: GetServingBundleResponse) -> str:
    if not stored.version:
        step = "marquee train" if stored.event_count else "marquee import movielens"
        return f"No bundle serves yet. Next: [bold]{step}[/]"
    before = f"; before it: {escape(stored.previous_version)}" if stored.previous_version else ""
    return f"Serving bundle: [bold]{escape(stored.version)}[/] with {stored.item_count:,} items{before}."
