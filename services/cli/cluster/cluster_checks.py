"""Is this cluster fit for a mesh: version, names, metrics, storage, Pod Security."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus

from services.cli.cluster.api import ClusterApi, Object
from services.cli.cluster.checks import Check, Level
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import name_of

OLDEST, NEWEST = 30, 36
"""Minor versions of Kubernetes 1 that the chart and the commands are tested against."""
_DNS_NAMESPACE = "kube-system"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_ENFORCE = "pod-security.kubernetes.io/enforce"


def check_version(api: ClusterApi) -> Iterator[Check]:
    """Compare the server's version with those that are supported."""
    said = api.get("/version")
    version = str(said.get("gitVersion", "unknown"))
    minor = int(re.sub(r"\D", "", str(said.get("minor", ""))) or 0)
    supported = f"1.{OLDEST} to 1.{NEWEST}"
    if str(said.get("major")) != "1" or minor < OLDEST:
        yield Check("version", Level.FAIL, f"Kubernetes {version}, supported is {supported}", "Upgrade the cluster.")
    elif minor > NEWEST:
        advice = "Newer ones usually work; a newer Marquee may know this one."
        yield Check("version", Level.WARN, f"Kubernetes {version}, tested is {supported}", advice)
    else:
        yield Check("version", Level.OK, f"Kubernetes {version}")


def check_dns(api: ClusterApi) -> Iterator[Check]:
    """Look for the cluster's DNS service, and for pods behind it."""
    services = api.objects(f"/api/v1/namespaces/{_DNS_NAMESPACE}/services", labelSelector="k8s-app=kube-dns")
    if not services:
        yield Check(
            "DNS",
            Level.WARN,
            f"no Service with the label k8s-app=kube-dns in {_DNS_NAMESPACE}",
            "Services find each other by DNS. If yours is elsewhere, set networkPolicy.dns in the values.",
        )
    for service in services:
        slices = api.objects(
            f"/apis/discovery.k8s.io/v1/namespaces/{_DNS_NAMESPACE}/endpointslices",
            labelSelector=f"kubernetes.io/service-name={name_of(service)}",
        )
        ready = len(ready_addresses(slices))
        if ready:
            yield Check("DNS", Level.OK, f"{name_of(service)} has {ready} ready servers")
        else:
            advice = f"Look at: kubectl get pods --namespace {_DNS_NAMESPACE} --selector k8s-app=kube-dns"
            yield Check("DNS", Level.FAIL, f"{name_of(service)} has no ready server: no name is found", advice)


def check_metrics_server(api: ClusterApi) -> Iterator[Check]:
    """Look for the figures that autoscalers work with."""
    try:
        api.get("/apis/metrics.k8s.io/v1beta1/nodes", limit="1")
    except Refused as error:
        if error.status == HTTPStatus.FORBIDDEN:  # it is there
            yield Check("metrics-server", Level.OK, "there")
            return
        if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE):
            raise
        yield Check(
            "metrics-server",
            Level.WARN,
            "there is none, or it does not answer: autoscaling by processor time does not work",
            "Install metrics-server, or leave autoscaling off.",
        )
    else:
        yield Check("metrics-server", Level.OK, "there")


def check_storage(api: ClusterApi, namespace: str) -> Iterator[Check]:
    """Look for a default storage class, and for claims that wait."""
    claims = api.objects(
        f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", labelSelector="app.kubernetes.io/name=marquee"
    )
    for claim in claims:
        phase = (claim.get("status") or {}).get("phase")
        if phase == "Lost":
            yield Check(
                "storage", Level.FAIL, f"the volume of claim {name_of(claim)} is lost", "Restore it from a backup."
            )
        elif phase != "Bound":
            advice = f"Why, says: kubectl describe pvc --namespace {namespace} {name_of(claim)}"
            yield Check("storage", Level.WARN, f"claim {name_of(claim)} has no volume yet", advice)
    classes = api.objects("/apis/storage.k8s.io/v1/storageclasses")
    default = [one for one in classes if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"]
    if default:
        yield Check("storage", Level.OK, f"default class {name_of(default[0])}, {len(claims)} claims")
    else:
        names = ", ".join(map(name_of, classes)) or "there is none at all"
        advice = "Name one in the values (storageClassName), or make one the default."
        yield Check("storage", Level.WARN, f"no storage class is the default ({names})", advice)


def check_pod_security(api: ClusterApi, namespace: str) -> Iterator[Check]:
    """Look at the namespace's Pod Security level."""
    labels = (api.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels")) or {}
    level = labels.get(_ENFORCE, "")
    if level == "restricted":
        yield Check("Pod Security", Level.OK, "namespace enforces restricted")
    else:
        yield Check(
            "Pod Security",
            Level.WARN,
            f"namespace {namespace} enforces {level or 'nothing'}; the mesh runs under restricted",
            f"kubectl label namespace {namespace} {_ENFORCE}=restricted",
        )


def ready_addresses(slices: list[Object]) -> set[str]:
    """Return the addresses of EndpointSlices that take calls."""
    return {
        address
        for one in slices
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    }
