"""The arrows of the mesh are open and no others, where the cluster's network enforces policies."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.cli.cluster.release import name_of, port_of
from tests.cluster.cluster import Cluster
from tests.cluster.mesh import Mesh, Namespaces
from tests.cluster.settings import ClusterTestSettings

_PROBE = """
import json, os, socket, sys
answers = {}
for name, address in json.loads(os.environ["PROBE"]).items():
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=4).close()
        answers[name] = True
    except OSError:
        answers[name] = False
sys.stdout.write(json.dumps(answers) + "\\n")
"""
_LISTENER = "marquee-test-listener"
_PORT = 8000


def probe(cluster: Cluster, pod: dict[str, Any], namespace: str, targets: dict[str, str]) -> dict[str, bool]:
    """Try to connect from a pod in a namespace; returns which targets were reached."""
    made = copy.deepcopy(pod)
    made["metadata"] = {"name": "marquee-test-probe", "namespace": namespace, "labels": {"app": "probe"}}
    spec = made["spec"]
    spec.pop("serviceAccountName", None)
    spec.pop("volumes", None)
    container = spec["containers"][0]
    container.pop("volumeMounts", None)
    container |= {"command": ["python", "-c"], "args": [_PROBE]}
    container["env"] = [{"name": "PROBE", "value": json.dumps(targets)}]
    phase, log = cluster.run_pod(made)
    assert phase == "Succeeded", log
    found: dict[str, bool] = json.loads(log.strip().splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def elsewhere(namespaces: Namespaces, settings: ClusterTestSettings) -> Iterator[str]:
    """Another namespace."""
    name = namespaces.make("elsewhere")
    yield name
    if not settings.keep:
        namespaces.delete(name)


@pytest.fixture(scope="module")
def enforced(mesh: Mesh, elsewhere: str) -> None:
    """The network enforces policies: a pod that nobody may reach is not reached."""
    cluster = mesh.cluster
    listener = copy.deepcopy(mesh.helm.test_pod())
    listener["metadata"] = {"name": _LISTENER, "namespace": elsewhere, "labels": {"app": _LISTENER}}
    spec = listener["spec"]
    for field in ("serviceAccountName", "volumes", "activeDeadlineSeconds"):
        spec.pop(field, None)
    container = spec["containers"][0]
    for field in ("volumeMounts", "env"):
        container.pop(field, None)
    container |= {"command": ["python", "-m", "http.server", str(_PORT), "--directory", "/models"], "args": []}
    cluster.create(elsewhere, "pods", listener)
    path = f"/api/v1/namespaces/{elsewhere}/pods/{_LISTENER}"
    address: dict[str, str] = {}

    def reachable() -> bool:
        ip = (cluster.api.get(path).get("status") or {}).get("podIP")
        address["listener"] = f"{ip}:{_PORT}"
        return bool(ip) and probe(cluster, mesh.helm.test_pod(), elsewhere, address)["listener"]

    cluster.until(reachable, "a pod of another namespace cannot be reached at all", 60)
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": _LISTENER},
        "spec": {"podSelector": {"matchLabels": {"app": _LISTENER}}, "policyTypes": ["Ingress"]},
    }
    cluster.create(elsewhere, "networkpolicies", policy, "networking.k8s.io/v1")
    try:
        cluster.until(lambda: not reachable(), "it is still reached", 30)
    except AssertionError:
        pytest.skip("the network of this cluster does not enforce NetworkPolicies")


def addresses(mesh: Mesh, component: str) -> dict[str, str]:
    """Return the ports of a pod of a component by their names, at the pod's own address."""
    pod = mesh.release.ready_pod(component)
    ip = pod["status"]["podIP"]
    host = f"[{ip}]" if ":" in ip else ip
    return {f"{component} {name}": f"{host}:{port_of(pod, name)}" for name in ("grpc", "metrics", "health")}


@pytest.mark.usefixtures("enforced")
def test_a_stranger_reaches_nothing(mesh: Mesh, elsewhere: str) -> None:
    targets = addresses(mesh, "orchestrator") | addresses(mesh, "text")

    assert not any(probe(mesh.cluster, mesh.helm.test_pod(), elsewhere, targets).values())


@pytest.mark.usefixtures("enforced")
def test_a_neighbour_reaches_the_orchestrator_and_no_model_service(mesh: Mesh) -> None:
    targets = addresses(mesh, "orchestrator") | addresses(mesh, "text") | addresses(mesh, "classical")

    reached = probe(mesh.cluster, mesh.helm.test_pod(), mesh.namespace, targets)

    assert {name for name, open_ in reached.items() if open_} == {"orchestrator grpc"}


def test_the_orchestrator_reaches_every_model_service(mesh: Mesh) -> None:
    """Whatever the network does with policies, nothing may be missing from the mesh."""
    done = mesh.marquee("status", "--json")

    assert done.returncode == 0, done.stderr
    assert name_of(mesh.release.ready_pod("orchestrator"))
