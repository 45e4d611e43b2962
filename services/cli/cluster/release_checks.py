"""Is this release well: names, probes, images, autoscalers, health."""

from __future__ import annotations

from collections.abc import Iterator

from services.cli.cluster.api import Object
from services.cli.cluster.checks import Check, Level
from services.cli.cluster.cluster_checks import ready_addresses
from services.cli.cluster.mesh import any_ready_pod
from services.cli.cluster.release import (
    Release,
    component_of,
    container_of,
    is_ready,
    name_of,
    port_of,
    restarts_of,
    state_of,
)
from services.cli.cluster.tunnel import Tunnel
from services.cli.health import HealthProbe

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_BAD_IMAGES = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_MANY_RESTARTS = 3
_SECONDS = 3.0


def check_services(release: Release) -> Iterator[Check]:
    """Each component's Service is headless, and its name resolves to exactly the pods that are ready."""
    services = {component_of(one): one for one in release.objects("services")}
    for component in release.components:
        service = services.get(component)
        if service is None:
            yield Check("names", Level.FAIL, f"{component} has no Service", "helm upgrade brings it back.")
            continue
        name = name_of(service)
        if service["spec"].get("clusterIP") != "None":
            yield Check(
                "names",
                Level.WARN,
                f"Service {name} is not headless: all calls of a connection go to one pod",
                "Callers balance over pods only behind a headless Service (clusterIP: None).",
            )
        slices = release.api.objects(
            release.path("endpointslices", "discovery.k8s.io/v1"), labelSelector=f"kubernetes.io/service-name={name}"
        )
        listed = ready_addresses(slices)
        pods = {str((pod.get("status") or {}).get("podIP")) for pod in release.pods(component) if _takes_calls(pod)}
        if listed != pods:
            said = f"{name} resolves to {len(listed)} addresses, and {len(pods)} pods are ready"
            yield Check(
                "names", Level.WARN, said, "Just now changing? Else compare the Service's selector with the pods."
            )
        elif not pods:
            yield Check("names", Level.FAIL, f"{name} resolves to nothing", f"See: marquee cluster logs {component}")
        else:
            yield Check("names", Level.OK, f"{name} resolves to its {len(pods)} ready pods")


def check_probes(release: Release) -> Iterator[Check]:
    """Each container has all three probes over gRPC, and they pass."""
    for component in release.components:
        container = container_of(release.deployment(component))
        missing = [name for name in _PROBES if "grpc" not in (container.get(name) or {})]
        if missing:
            said = f"{component} has no gRPC {', '.join(missing)}"
            yield Check("probes", Level.FAIL, said, "The chart brings them: was the Deployment changed by hand?")
            continue
        wanting = [pod for pod in release.pods(component) if not is_ready(pod)]
        restarted = [pod for pod in release.pods(component) if restarts_of(pod) >= _MANY_RESTARTS]
        advice = f"See: marquee cluster logs {component}"
        for pod in wanting:
            yield Check("probes", Level.FAIL, f"{name_of(pod)} is not ready: {state_of(pod)}", advice)
        for pod in restarted:
            said = f"{name_of(pod)} was restarted {restarts_of(pod)} times{_why_ended(pod)}"
            yield Check("probes", Level.WARN, said, advice)
        if not wanting and not restarted:
            yield Check("probes", Level.OK, f"{component} passes startup, readiness and liveness")


def check_images(release: Release) -> Iterator[Check]:
    """Each image was pulled, and all pods of a component run the same one."""
    for component in release.components:
        pods = release.pods(component)
        running: set[str] = set()
        for pod in pods:
            for one in (pod.get("status") or {}).get("containerStatuses") or []:
                waiting = (one.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in _BAD_IMAGES:
                    said = f"{name_of(pod)} cannot pull {one['image']}: {waiting.get('message') or waiting['reason']}"
                    yield Check("images", Level.FAIL, said, "Look at image.registry, image.tag and imagePullSecrets.")
                elif one.get("imageID"):
                    running.add(str(one["imageID"]))
        if len(running) > 1:
            said = f"pods of {component} run {len(running)} different images"
            yield Check("images", Level.WARN, said, "In the middle of an upgrade? Else pin the image by digest.")
        elif running:
            yield Check("images", Level.OK, f"{component} runs {container_of(release.deployment(component))['image']}")


def check_autoscalers(release: Release) -> Iterator[Check]:
    """Each autoscaler gets its figures."""
    for one in release.objects("horizontalpodautoscalers", "autoscaling/v2"):
        conditions = {each["type"]: each for each in (one.get("status") or {}).get("conditions") or []}
        active = conditions.get("ScalingActive") or {}
        if active.get("status") == "False":
            said = f"{name_of(one)} does not scale: {active.get('message', 'no reason given')}"
            yield Check(
                "autoscaling", Level.FAIL, said, "By processor time it needs metrics-server, by queue an adapter."
            )
        else:
            status = one.get("status") or {}
            yield Check("autoscaling", Level.OK, f"{name_of(one)} wants {status.get('desiredReplicas', '?')} pods")


def try_health(release: Release) -> Iterator[Check]:
    """Ask a pod of each component for its health, through a forwarded port."""
    for component in release.components:
        port = port_of(release.deployment(component), "health")
        with (
            Tunnel(release.api, any_ready_pod(release, component), port) as tunnel,
            HealthProbe(tunnel.address) as probe,
        ):
            health = probe.look(_SECONDS)
            if health == "serving":
                yield Check("health", Level.OK, f"{component} answers that it serves")
            else:
                said = str(tunnel.failure) if tunnel.failure else f"{component}: {health}"
                yield Check("health", Level.FAIL, said, f"See: marquee cluster logs {component}")


def _takes_calls(pod: Object) -> bool:
    return is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def _why_ended(pod: Object) -> str:
    for one in (pod.get("status") or {}).get("containerStatuses") or []:
        ended = (one.get("lastState") or {}).get("terminated") or {}
        if ended:
            return f", last: {ended.get('reason', 'ended')} with exit code {ended.get('exitCode')}"
    return ""
