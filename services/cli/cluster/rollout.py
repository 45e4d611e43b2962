"""Waits until a Deployment is what it should be, and says what it waits for."""

from __future__ import annotations

from services.cli.cluster.api import Object
from services.cli.cluster.release import Release, is_ready, name_of, state_of
from services.cli.cluster.watching import snapshots
from services.cli.console import stage
from services.cli.failures import CommandFailed

_LOOK_SECONDS = 5.0


def wait_for_rollout(release: Release, component: str, seconds: float) -> None:
    """Wait until as many up-to-date pods of a component are ready as it wants, and no others are left.

    Args:
        release: the mesh.
        component: which of its Deployments.
        seconds: longest wait.

    Raises:
        CommandFailed: the time is over, or Kubernetes gave up; the advice says what the pods wait for.
    """
    name = name_of(release.deployment(component))
    changes = snapshots(
        release.api,
        release.path("deployments", "apps/v1"),
        seconds,
        every=_LOOK_SECONDS,
        fieldSelector=f"metadata.name={name}",
    )
    with stage(f"Pods of {component} ready", total=0) as work:
        for found in changes:
            if name not in found:
                raise CommandFailed(f"Deployment {name} was deleted")
            deployment = found[name]
            ready, wanted, done = progress_of(deployment)
            work.expect(wanted)
            work.advance(ready - work.done)
            if done:
                work.note = f"{wanted} of {wanted}"
                return
            if _gave_up(deployment):
                break
            waiting = waiting_for(release, component)
            work.say(waiting[0] if waiting else f"{ready} of {wanted}")
    raise CommandFailed(
        f"not all pods of {component} are ready: {ready} of {wanted} after {work.seconds:.0f} s",
        "\n".join([*waiting_for(release, component), f"Look with: marquee cluster logs {component}"]),
    )


def progress_of(deployment: Object) -> tuple[int, int, bool]:
    """Return how many up-to-date pods are ready, how many are wanted, and whether the Deployment is done."""
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    ready, updated = int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0))
    seen = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    done = seen and updated == wanted and ready == wanted and int(status.get("replicas", 0)) == wanted
    return min(ready, updated) if seen else 0, wanted, done


def waiting_for(release: Release, component: str) -> list[str]:
    """Return why the pods of a component that are not ready are not, one sentence each."""
    return [f"{name_of(pod)}: {state_of(pod)}" for pod in release.pods(component) if not is_ready(pod)]


def _gave_up(deployment: Object) -> bool:
    conditions = (deployment.get("status") or {}).get("conditions") or []
    return any(
        one["type"] == "Progressing" and one["status"] == "False" and one.get("reason") == "ProgressDeadlineExceeded"
        for one in conditions
    )
