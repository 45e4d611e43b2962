"""`marquee cluster scale`: how many pods a component has."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Annotated

import typer

from services.cli.cluster.api import Object
from services.cli.cluster.mesh import chosen_release
from services.cli.cluster.options import ContextOption, NamespaceOption, ReleaseOption, Where
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import ORCHESTRATOR, Release, name_of
from services.cli.cluster.rollout import wait_for_rollout
from services.cli.cluster.workload_settings import setting_of
from services.cli.console import output
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed

EPILOG = """
[bold]Examples[/]

  marquee cluster scale text 4

  marquee cluster scale vision 2 --timeout 900     [dim]# nodes with GPUs come slowly[/]

[dim]The next `helm upgrade` sets the count of the values again: write what should last there.[/]
"""
_CONFLICTS = 6


def scale(
    component: Annotated[str, typer.Argument(help="orchestrator, text, vision or classical.")],
    count: Annotated[int, typer.Argument(help="Pods it should have.", min=0, max=1000)],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until they are ready.")] = True,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Longest wait.", min=1)] = 300.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before stopping a component.")] = False,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
    release: ReleaseOption = "",
) -> None:
    """Set how many pods a component has, and wait until they are ready."""
    chosen = chosen_release(Where(context, namespace, release))
    deployment = chosen.deployment(component)
    _refuse_when_autoscaled(chosen, component, name_of(deployment))
    if component == ORCHESTRATOR and count > 1:
        _refuse_sqlite(chosen, deployment)
    if count == 0 and not yes and not typer.confirm(f"Stop {component}? Nobody will answer its calls"):
        raise typer.Abort
    before = set_replicas(chosen, component, count)
    if before == count:
        output.print(f"{component} has {count} pods already.")
    else:
        output.print(f"[green]✓[/] {component}: {before} → {count} pods")
    if wait:
        wait_for_rollout(chosen, component, timeout)


def set_replicas(release: Release, component: str, count: int) -> int:
    """Set the number of pods, against whoever changes the Deployment at the same time; returns the number before."""
    path = f"{release.path('deployments', 'apps/v1')}/{name_of(release.deployment(component))}/scale"
    for tries_left in reversed(range(_CONFLICTS)):
        current = release.api.get(path)
        before = int(current["spec"].get("replicas", 0))
        if before == count:
            return before
        change = {
            "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},  # refused when it changed since
            "spec": {"replicas": count},
        }
        try:
            release.api.patch(path, change)
            return before
        except Refused as error:
            if error.status != HTTPStatus.CONFLICT or not tries_left:
                raise
            time.sleep(0.05 * (_CONFLICTS - tries_left))
    raise AssertionError("the last try returns or raises")


def autoscaler_of(release: Release, deployment: str) -> Object | None:
    """Return the HorizontalPodAutoscaler that owns the count of a Deployment; None when none does."""
    for one in release.api.objects(release.path("horizontalpodautoscalers", "autoscaling/v2")):
        target = one["spec"]["scaleTargetRef"]
        if target["kind"] == "Deployment" and target["name"] == deployment:
            return one
    return None


def _refuse_when_autoscaled(release: Release, component: str, deployment: str) -> None:
    found = autoscaler_of(release, deployment)
    if found is None:
        return
    least, most = found["spec"].get("minReplicas", 1), found["spec"]["maxReplicas"]
    raise CommandFailed(
        f"the autoscaler {name_of(found)} sets how many pods {component} has ({least} to {most}): it would undo this",
        f"Change its bounds: helm upgrade {release.name} charts/marquee --namespace {release.namespace} --reuse-values "
        f"--set {component}.autoscaling.minReplicas={least} --set {component}.autoscaling.maxReplicas={most}\n"
        f"Or switch it off: --set {component}.autoscaling.enabled=false",
        EXIT_WRONG_INPUT,
    )


def _refuse_sqlite(release: Release, deployment: Object) -> None:
    url = setting_of(release, deployment, "MARQUEE_ORCHESTRATOR_STORE_URL")
    if url is None or url.startswith("sqlite"):
        raise CommandFailed(
            "the orchestrator keeps its store in SQLite, which one pod only may write to",
            "Give it PostgreSQL first (docs/kubernetes.md tells how), then scale it.",
            EXIT_WRONG_INPUT,
        )
