"""What runs in the cluster, gathered: pods with their health and figures, models, the serving bundle."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format

from marquee.common.v1 import model_repository_pb2 as repository_pb
from marquee.entertainment.v1.bundle_service_pb2 import GetServingBundleResponse
from marquee_client import MarqueeError
from services.cli.cluster.api import Object
from services.cli.cluster.mesh import loaded_models, orchestrator, this_pod
from services.cli.cluster.metrics_page import Page, Rates, rates, read_page
from services.cli.cluster.release import (
    MODEL_SERVICES,
    ORCHESTRATOR,
    VERSION,
    Release,
    component_of,
    is_ready,
    name_of,
    port_of,
    restarts_of,
    state_of,
)
from services.cli.cluster.tunnel import Tunnel
from services.cli.failures import CommandFailed
from services.cli.health import Health, HealthProbe

_SECONDS = 5.0
_AT_ONCE = 8


@dataclass
class PodView:
    """One pod.

    Attributes:
        name: of the pod.
        component: what it runs.
        state: in a few words, as Kubernetes sees it.
        ready: Kubernetes sends calls to it.
        restarts: of its containers.
        age_seconds: since it was made.
        node: where it runs; empty before it is scheduled.
        version: of the software, by its label.
        health: what it answers itself; None when it could not be asked.
        page: its figures; None when they could not be read.
        rates: calls, errors and latency; None when they could not be read.
        note: why it could not be asked; may be empty.
    """

    name: str
    component: str
    state: str
    ready: bool
    restarts: int
    age_seconds: float
    node: str
    version: str
    health: Health | None = None
    page: Page | None = None
    rates: Rates | None = None
    note: str = ""


@dataclass
class MeshView:
    """One mesh at one moment.

    Attributes:
        release: which.
        counts: pods that are ready and pods that are wanted, by component.
        pods: all of them.
        models: of the model services, by component.
        bundle: the orchestrator's answer; None when it could not be asked.
        notes: what could not be found out, and why.
    """

    release: Release
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    pods: list[PodView] = field(default_factory=list)
    models: dict[str, list[repository_pb.ModelStatus]] = field(default_factory=dict)
    bundle: GetServingBundleResponse | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def all_serve(self) -> bool:
        """Every component has all the pods it wants, and at least one, and each says that it serves."""
        counted = all(ready >= max(wanted, 1) for ready, wanted in self.counts.values())
        return counted and all(pod.health in (None, "serving") for pod in self.pods if pod.ready)


def look(release: Release, before: MeshView | None = None) -> MeshView:
    """Gather what runs.

    Args:
        release: the mesh.
        before: an earlier view: rates are then of the time between the two.
    """
    view = MeshView(release)
    deployments = {component_of(one): one for one in release.objects("deployments", "apps/v1")}
    for component in release.components:
        found = deployments.get(component) or {"spec": {}, "status": {}}
        ready = int((found.get("status") or {}).get("readyReplicas", 0))
        view.counts[component] = ready, int(found["spec"].get("replicas", 1))
    pods = release.pods()
    pages = {pod.name: pod.page for pod in before.pods} if before else {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {
            name: pool.submit(_models, release, name, pods) for name in MODEL_SERVICES if name in release.components
        }
        stored = pool.submit(_bundle, release)
        view.pods = list(pool.map(lambda pod: _pod(release, pod, pages.get(name_of(pod))), pods))
        view.models = {name: answer.result() for name, answer in asked.items()}
        view.bundle, why = stored.result()
    order = {name: place for place, name in enumerate(release.components)}
    view.pods.sort(key=lambda pod: (order.get(pod.component, len(order)), pod.name))
    view.notes = list(dict.fromkeys([*(pod.note for pod in view.pods if pod.note), *([why] if why else [])]))
    return view


def as_json(view: MeshView) -> dict[str, Any]:
    """Return a view for programs."""
    return {
        "release": view.release.name,
        "namespace": view.release.namespace,
        "serving": view.all_serve,
        "components": {name: {"ready": ready, "wanted": wanted} for name, (ready, wanted) in view.counts.items()},
        "pods": [_pod_as_json(pod) for pod in view.pods],
        "models": {
            name: [json_format.MessageToDict(one, preserving_proto_field_name=True) for one in models]
            for name, models in view.models.items()
        },
        "bundle": json_format.MessageToDict(view.bundle, preserving_proto_field_name=True) if view.bundle else None,
        "notes": view.notes,
    }


def age_of(found: Object) -> float:
    """Return the age of an object in seconds; 0 when it does not say."""
    created = found["metadata"].get("creationTimestamp")
    if not created:
        return 0.0
    return max(0.0, (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(created)).total_seconds())


def _pod_as_json(pod: PodView) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: getattr(pod, name)
        for name in ("name", "component", "state", "ready", "restarts", "node", "version", "health")
    }
    said["age_seconds"] = round(pod.age_seconds)
    if pod.page is not None and pod.rates is not None:
        said |= {
            "queue_rows": pod.page.queue_rows,
            "in_flight": pod.page.in_flight,
            "memory_bytes": pod.page.memory_bytes,
            "calls_per_second": pod.rates.calls_per_second,
            "error_share": pod.rates.error_share,
            "p95_seconds": pod.rates.slow_seconds,
        }
    return said


def _pod(release: Release, pod: Object, before: Page | None) -> PodView:
    labels = pod["metadata"].get("labels") or {}
    view = PodView(
        name=name_of(pod),
        component=component_of(pod),
        state=state_of(pod),
        ready=is_ready(pod),
        restarts=restarts_of(pod),
        age_seconds=age_of(pod),
        node=str(pod["spec"].get("nodeName", "")),
        version=str(labels.get(VERSION, "")),
    )
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    if not any("running" in (one.get("state") or {}) for one in statuses):
        return view
    choice = this_pod(release, pod)
    with Tunnel(release.api, choice, port_of(pod, "health")) as tunnel, HealthProbe(tunnel.address) as probe:
        health = probe.look(_SECONDS)
        if tunnel.failure is not None:
            view.note = str(tunnel.failure)
        else:
            view.health = health
    if not view.note:
        with Tunnel(release.api, choice, port_of(pod, "metrics")) as tunnel:
            try:
                view.page = read_page(tunnel.address, _SECONDS)
                view.rates = rates(view.page, before)
            except (OSError, ValueError) as error:
                view.note = f"{view.name} shows no metrics: {tunnel.failure or error}"
    return view


def _models(release: Release, component: str, pods: Iterable[Object]) -> list[repository_pb.ModelStatus]:
    ready = [pod for pod in pods if component_of(pod) == component and is_ready(pod)]
    answer = loaded_models(release, ready[0]) if ready else None
    return list(answer.models) if answer else []


def _bundle(release: Release) -> tuple[GetServingBundleResponse | None, str]:
    if ORCHESTRATOR not in release.deployments:
        return None, ""
    try:
        with orchestrator(release) as client:
            return client.serving_bundle(timeout=_SECONDS), ""
    except MarqueeError as error:
        return None, f"the orchestrator does not tell its bundle: {error.message}"
    except CommandFailed as error:
        return None, f"the orchestrator does not tell its bundle: {error}"
