"""`marquee cluster bundle`: which bundles the pods have, and which one serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from typing import Annotated

import typer
from rich.markup import escape

from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.entertainment.v1 import bundle_service_pb2 as bundle_pb
from marquee_client import MarqueeClient
from services.cli.cluster.api import Object
from services.cli.cluster.mesh import chosen_release, loaded_bundles, orchestrator
from services.cli.cluster.options import ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.release import MODEL_SERVICES, Release, component_of, is_ready, name_of
from services.cli.console import output, stage
from services.cli.failures import EXIT_FAILED
from services.cli.tables import plain_table, steps_table, titled

EPILOG = """
[bold]Examples[/]

  marquee cluster bundle list

  marquee cluster bundle promote 20261124T101500Z

  marquee cluster bundle rollback              [dim]# back to the one that served before, at once[/]

[dim]A bundle serves only when every model service has loaded and checked it; promote and rollback then make sure that
every single pod has it.[/]
"""
_ACTIVATION_SECONDS = 120.0
_ALL_PODS_SECONDS = 60.0
_PAUSE_SECONDS = 1.0
_AT_ONCE = 8

app = typer.Typer(no_args_is_help=True)


Activated = bundle_pb.ActivateBundleResponse | bundle_pb.RollbackBundleResponse


@dataclass
class BundleRow:
    """One bundle, as the pods have it."""

    bundle: repository_pb.Bundle
    scorers: dict[str, list[str]] = field(default_factory=dict)
    pods: set[str] = field(default_factory=set)


@app.command("list")
def list_bundles(context: ContextOption = "", namespace: NamespaceOption = "", release: ReleaseOption = "") -> None:
    """List the bundles that the pods have loaded, and which one serves."""
    chosen = chosen_release(Where(context, namespace, release))
    with orchestrator(chosen) as client:
        serving = client.serving_bundle()
    pods = model_pods(chosen)
    rows, silent = _rows(chosen, pods)
    table = plain_table()
    for column in ("bundle", "", "fitted", "loaded by", "what it has"):
        table.add_column(column, overflow="fold")
    for version in sorted(rows, reverse=True):
        row = rows[version]
        mark = {serving.version: "[green]serves[/]", serving.previous_version: "before"}.get(version, "")
        fitted = row.bundle.create_time.ToDatetime(tzinfo=UTC)
        what = "; ".join(f"{name}: {', '.join(scorers)}" for name, scorers in row.scorers.items())
        table.add_row(
            escape(version), mark, f"{fitted:%Y-%m-%d %H:%M}", f"{len(row.pods)} of {len(pods)} pods", escape(what)
        )
    if not rows:
        output.print("No pod has loaded a bundle. Next: [bold]marquee cluster train[/]")
    else:
        output.print(titled("Bundles", table))
    for name in silent:
        output.print(f"[yellow]{escape(name)} did not answer.[/]")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Version of the bundle.")],
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Let a bundle serve, once every model service has loaded and checked it."""
    _change(
        Where(context, namespace, release), lambda client: client.activate_bundle(version, timeout=_ACTIVATION_SECONDS)
    )


@app.command()
def rollback(context: ContextOption = "", namespace: NamespaceOption = "", release: ReleaseOption = "") -> None:
    """Go back to the bundle that served before."""
    _change(Where(context, namespace, release), lambda client: client.rollback_bundle(timeout=_ACTIVATION_SECONDS))


def model_pods(release: Release) -> list[Object]:
    """Return the pods of the model services that are ready."""
    return [pod for pod in release.pods() if component_of(pod) in MODEL_SERVICES and is_ready(pod)]


def wait_until_all_have(release: Release, version: str) -> list[str]:
    """Wait until every pod of a model service has a bundle; returns the pods that still have not."""
    end = time.monotonic() + _ALL_PODS_SECONDS
    missing = model_pods(release)
    with stage("Loaded by every pod", total=len(missing)) as work:
        while True:
            have = _having(release, missing, version)
            work.advance(len(have))
            missing = [pod for pod in missing if name_of(pod) not in have]
            if not missing or time.monotonic() >= end:
                return [name_of(pod) for pod in missing]
            time.sleep(_PAUSE_SECONDS)


def _change(where: Where, act: Callable[[MarqueeClient], Activated]) -> None:
    chosen = chosen_release(where)
    with orchestrator(chosen) as client:
        start = time.perf_counter()
        answer = act(client)
    output.print(steps_table(answer.steps, (time.perf_counter() - start) * 1000))
    output.print(
        f"[green]✓[/] {escape(answer.version)} serves now; before: {escape(answer.previous_version) or 'none'}"
    )
    missing = wait_until_all_have(chosen, answer.version)
    if missing:
        output.print(
            f"[red]These pods have not loaded it yet:[/] {escape(', '.join(missing))}. "
            "[bold]marquee cluster logs --warnings[/] says why."
        )
        raise typer.Exit(EXIT_FAILED)


def _rows(release: Release, pods: list[Object]) -> tuple[dict[str, BundleRow], list[str]]:
    rows: dict[str, BundleRow] = {}
    silent = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for pod, bundles in zip(pods, pool.map(lambda pod: loaded_bundles(release, pod), pods), strict=True):
            if bundles is None:
                silent.append(name_of(pod))
            for bundle in bundles or ():
                row = rows.setdefault(bundle.version, BundleRow(bundle))
                row.pods.add(name_of(pod))
                parts = [*bundle.scorers, *(f"ranker {name}" for name in bundle.rankers)]
                if parts:
                    row.scorers[component_of(pod)] = parts
    return rows, silent


def _having(release: Release, pods: list[Object], version: str) -> set[str]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda pod: loaded_bundles(release, pod), pods)
        return {
            name_of(pod)
            for pod, bundles in zip(pods, answers, strict=True)
            if any(bundle.version == version for bundle in bundles or ())
        }
