"""What must hold of the chart's manifests whatever the values are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.classical.settings import ClassicalSettings
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.settings import ServiceSettings
from services.text.settings import TextSettings
from services.vision.settings import VisionSettings
from tests.support.chart import SERVING, Chart, Manifest

SETTINGS: dict[str, type[ServiceSettings]] = {
    "orchestrator": OrchestratorSettings,
    "text": TextSettings,
    "vision": VisionSettings,
    "classical": ClassicalSettings,
}
HEALTH_PORT = 50070
GIVEN = ("database", "given-")
"""Names that the tests' values give to what exists already begin with these."""


def broken_rules(chart: Chart) -> Iterator[str]:
    """Yield a sentence for each rule that does not hold."""
    yield from _names(chart)
    yield from _selectors(chart)
    for template in chart.templates():
        component = template["metadata"]["labels"]["app.kubernetes.io/component"]
        for fault in (
            *_security(template["spec"]),
            *_references(chart, template["spec"]),
            *_mounts(template["spec"]),
        ):
            yield f"{component}: {fault}"
    for component in SERVING:
        yield from (f"{component}: {fault}" for fault in _serving(chart, component))


def _names(chart: Chart) -> Iterator[str]:
    keys = [(one["kind"], one["metadata"]["name"]) for one in chart.manifests]
    yield from (f"{key} is there twice" for key in {key for key in keys if keys.count(key) > 1})
    for one in chart.manifests:
        labels = one["metadata"]["labels"]
        name = one["metadata"]["name"]
        longest = 52 if one["kind"] == "CronJob" else 63
        if len(name) > longest:
            yield f"the name {name} of a {one['kind']} is longer than {longest}"
        if one["metadata"]["namespace"] != "games":
            yield f"{one['kind']} {name} is in another namespace"
        for label in ("name", "instance", "component", "part-of", "managed-by", "version"):
            if not labels.get(f"app.kubernetes.io/{label}"):
                yield f"{one['kind']} {name} has no label {label}"


def _selectors(chart: Chart) -> Iterator[str]:
    pods = [template["metadata"]["labels"] for template in chart.templates()]
    for one in chart.manifests:
        selector = one["spec"].get("selector") if isinstance(one.get("spec"), dict) else None
        if one["kind"] == "NetworkPolicy":
            selector = one["spec"]["podSelector"]
        if one["kind"] == "ServiceMonitor":
            pods_or_services = [service["metadata"]["labels"] for service in chart.kind("Service")]
        else:
            pods_or_services = pods
        if selector is not None:
            wanted = selector.get("matchLabels", selector)
            if not any(wanted.items() <= labels.items() for labels in pods_or_services):
                yield f"{one['kind']} {one['metadata']['name']} selects nothing"


def _security(spec: Manifest) -> Iterator[str]:
    if spec["automountServiceAccountToken"] is not False:
        yield "a token is mounted"
    pod = spec["securityContext"]
    if not pod["runAsNonRoot"] or pod["seccompProfile"] != {"type": "RuntimeDefault"}:
        yield "the pod does not fit the profile restricted"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        context = container["securityContext"]
        if (
            context["allowPrivilegeEscalation"]
            or context["capabilities"] != {"drop": ["ALL"]}
            or not context["readOnlyRootFilesystem"]
            or not context["runAsNonRoot"]
            or not context["runAsUser"]
        ):
            yield f"container {container['name']} does not fit the profile restricted"
        if not container["resources"].get("requests") or "memory" not in container["resources"].get("limits", {}):
            yield f"container {container['name']} has no requests or no limit of memory"


def _references(chart: Chart, spec: Manifest) -> Iterator[str]:
    """Everything that a pod names is in the chart, or was given."""
    for kind, name in _named(spec):
        if not name.startswith(GIVEN) and name not in {one["metadata"]["name"] for one in chart.kind(kind)}:
            if kind == "Secret" and name in {one["spec"]["secretName"] for one in chart.kind("Certificate")}:
                continue
            yield f"{kind} {name} does not exist"


def _named(spec: Manifest) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec["volumes"]:
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in spec["containers"]:
        for one in container["env"]:
            if "secretKeyRef" in one.get("valueFrom", {}):
                yield "Secret", one["valueFrom"]["secretKeyRef"]["name"]


def _mounts(spec: Manifest) -> Iterator[str]:
    volumes = [volume["name"] for volume in spec["volumes"]]
    mounted: set[str] = set()
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        places = [mount["mountPath"] for mount in container["volumeMounts"]]
        mounted |= {mount["name"] for mount in container["volumeMounts"]}
        if len(set(places)) != len(places):
            yield "two volumes are mounted at one place"
    if mounted != set(volumes):
        yield f"volumes {volumes}, mounted {sorted(mounted)}"


def _serving(chart: Chart, component: str) -> Iterator[str]:
    spec, container = chart.pod(component), chart.container(component)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    environment = chart.environment(component)
    yield from _variables(component, environment)
    for name, setting in (("grpc", "PORT"), ("health", "HEALTH_PORT"), ("metrics", "METRICS_PORT")):
        if environment[f"MARQUEE_{component.upper()}_{setting}"] != str(ports[name]):
            yield f"port {name} is another one than the setting"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if container[probe]["grpc"]["port"] != ports["health"]:
            yield f"{probe} asks a port that answers no health checks"
    wait = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = float(environment[f"MARQUEE_{component.upper()}_DRAIN_SECONDS"])
    if spec["terminationGracePeriodSeconds"] < wait + drain + 5:
        yield "it is killed before its calls are finished"
    names = {port["name"] for port in container["ports"]}
    service = chart.one("Service", component)
    if service["spec"]["clusterIP"] != "None":
        yield "its Service is not headless"
    if not {port["targetPort"] for port in service["spec"]["ports"]} <= names:
        yield "its Service has a port that the container has not"
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in chart.kind("HorizontalPodAutoscaler")]
    deployment = chart.one("Deployment", component)
    if ("replicas" in deployment["spec"]) == (deployment["metadata"]["name"] in scaled):
        yield "its number is set by both the Deployment and the autoscaler, or by none"


def _variables(component: str, environment: dict[str, Any]) -> Iterator[str]:
    prefix = f"MARQUEE_{component.upper()}_"
    known = {f"{prefix}{field.upper()}" for field in SETTINGS[component].model_fields} | {"MARQUEE_DATA_DIRECTORY"}
    yield from (f"{name} is no setting" for name in environment if name.startswith("MARQUEE_") and name not in known)
