"""Finds the mesh in the cluster: by labels, never by names."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from services.cli.cluster.api import ClusterApi, Object
from services.cli.cluster.options import Where
from services.cli.cluster.refusals import Refused
from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
VERSION = "app.kubernetes.io/version"
ORCHESTRATOR = "orchestrator"
MODEL_SERVICES = ("text", "vision", "classical")
COMPONENTS = (ORCHESTRATOR, *MODEL_SERVICES)
_PORTS = {"orchestrator": 50060, "text": 50061, "vision": 50062, "classical": 50063}
_SHARED_PORTS = {"metrics": 9464, "health": 50070}


@dataclass(frozen=True)
class Release:
    """One mesh: what one `helm install` made.

    Attributes:
        api: the cluster.
        name: the Helm release.
        namespace: where it is.
        deployments: its Deployments by component.
    """

    api: ClusterApi
    name: str
    namespace: str
    deployments: dict[str, Object] = field(default_factory=dict)

    @property
    def components(self) -> list[str]:
        """Components that are there, the orchestrator first."""
        known = [name for name in COMPONENTS if name in self.deployments]
        return known + sorted(set(self.deployments) - set(known))

    def selector(self, component: str = "") -> str:
        """Return the label selector of its objects, or of one component's."""
        labels = f"{NAME}=marquee,{INSTANCE}={self.name}"
        return f"{labels},{COMPONENT}={component}" if component else labels

    def path(self, collection: str, group: str = "") -> str:
        """Return the path of a collection in its namespace, for example of "pods", or of "jobs" in "batch/v1"."""
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{collection}"

    def objects(self, collection: str, group: str = "", component: str = "") -> list[Object]:
        """Return its objects of one kind."""
        return self.api.objects(self.path(collection, group), labelSelector=self.selector(component))

    def deployment(self, component: str) -> Object:
        """Return the Deployment of a component.

        Raises:
            CommandFailed: the release has no such component.
        """
        found = self.deployments.get(component)
        if found is None:
            raise CommandFailed(
                f"release {self.name} has no component {component!r}",
                f"It has: {', '.join(self.components)}",
                EXIT_WRONG_INPUT,
            )
        return found

    def pods(self, component: str = "") -> list[Object]:
        """Return the pods of the mesh or of one component, in the order of their names."""
        listed = self.objects("pods", component=component)
        return sorted((pod for pod in listed if component or component_of(pod) in self.deployments), key=name_of)

    def ready_pod(self, component: str) -> Object:
        """Return a pod of a component that is ready and not going away, the youngest: it stays longest.

        Raises:
            CommandFailed: none is ready.
        """
        pods = self.pods(component)
        ready = [pod for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]
        if not ready:
            states = "; ".join(f"{name_of(pod)}: {state_of(pod)}" for pod in pods) or "it has no pods"
            raise CommandFailed(
                f"no pod of {component} is ready in namespace {self.namespace}",
                f"{states}\nSee: marquee cluster status, and marquee cluster logs {component}",
            )
        return max(ready, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def find_release(api: ClusterApi, where: Where) -> Release:
    """Return the mesh of a namespace.

    Raises:
        CommandFailed: there is none, not that one, or there are several and none is named.
    """
    namespace = where.namespace or api.namespace
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    by_release: dict[str, dict[str, Object]] = {}
    for one in api.objects(path, labelSelector=f"{NAME}=marquee"):
        labels = one["metadata"].get("labels") or {}
        if COMPONENT in labels:
            by_release.setdefault(labels.get(INSTANCE, ""), {})[labels[COMPONENT]] = one
    if where.release in by_release:
        return Release(api, where.release, namespace, by_release[where.release])
    if where.release or not by_release:
        raise _not_found(api, namespace, where.release, sorted(by_release))
    if len(by_release) > 1:
        raise CommandFailed(
            f"namespace {namespace} has several releases: {', '.join(sorted(by_release))}",
            "Say which with --release.",
            EXIT_WRONG_INPUT,
        )
    name, deployments = next(iter(by_release.items()))
    return Release(api, name, namespace, deployments)


def _not_found(api: ClusterApi, namespace: str, wanted: str, here: list[str]) -> CommandFailed:
    if here:
        return CommandFailed(
            f"namespace {namespace} has no release {wanted!r}", f"It has: {', '.join(here)}", EXIT_WRONG_INPUT
        )
    try:
        everywhere = api.objects("/apis/apps/v1/deployments", labelSelector=f"{NAME}=marquee")
    except Refused as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        everywhere = []  # a right to this namespace only is all right
    seen = {(one["metadata"].get("labels") or {}).get(INSTANCE, ""): one["metadata"]["namespace"] for one in everywhere}
    elsewhere = ", ".join(f"{name} in namespace {where}" for name, where in sorted(seen.items()))
    return CommandFailed(
        f"there is no Marquee release{f' {wanted!r}' if wanted else ''} in namespace {namespace}",
        f"Seen elsewhere: {elsewhere}. Choose with --namespace."
        if elsewhere
        else f"Install one: helm install marquee charts/marquee --namespace {namespace} --create-namespace\n"
        "Another namespace is chosen with --namespace, another cluster with --context.",
        EXIT_WRONG_INPUT,
    )


def name_of(found: Object) -> str:
    """Return the name of an object."""
    return str(found["metadata"]["name"])


def component_of(found: Object) -> str:
    """Return the component that an object belongs to; empty when it does not say."""
    return str((found["metadata"].get("labels") or {}).get(COMPONENT, ""))


def is_ready(pod: Object) -> bool:
    """Tell whether Kubernetes sends calls to a pod."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def state_of(pod: Object) -> str:
    """Return what a pod is at in a few words, the most telling thing first: why it waits, why it ended, its phase."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "terminating"
    for one in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        state = one.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            return _with(waiting["reason"], waiting.get("message", ""))
        if ended.get("exitCode"):
            return f"{ended.get('reason', 'ended')} with exit code {ended['exitCode']}"
    for one in status.get("conditions") or []:
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return _with(one.get("reason", "not scheduled"), one.get("message", ""))
    if is_ready(pod):
        return "ready"
    return "running, not ready" if status.get("phase") == "Running" else str(status.get("phase", "unknown")).lower()


def container_of(workload: Object) -> Object:
    """Return the first container of a pod or of a pod template's owner."""
    spec = workload["spec"]
    spec = spec["template"]["spec"] if "template" in spec else spec
    found: Object = spec["containers"][0]
    return found


def port_of(workload: Object, name: str) -> int:
    """Return a port of a workload's container by its name: "grpc", "metrics" or "health"."""
    for port in container_of(workload).get("ports") or []:
        if port.get("name") == name:
            return int(port["containerPort"])
    return _SHARED_PORTS.get(name) or _PORTS.get(component_of(workload), 0)


def restarts_of(pod: Object) -> int:
    """Return how often the containers of a pod were started again."""
    statuses: list[Any] = (pod.get("status") or {}).get("containerStatuses") or []
    return sum(int(one.get("restartCount", 0)) for one in statuses)


def _with(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else str(reason)
