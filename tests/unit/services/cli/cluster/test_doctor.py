from __future__ import annotations

import base64
import datetime
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.cli.cluster.arrows import allows
from services.cli.cluster.certificates import end_of
from tests.support.kubernetes_api import FakeCluster, Object
from tests.support.kubernetes_objects import (
    deployment,
    endpoint_slice,
    fill,
    labels,
    namespace_object,
    pod,
    policies,
    service,
)
from tests.unit.services.cli.conftest import Run

CORE = "/api/v1/namespaces/media"
APPS = "/apis/apps/v1/namespaces/media"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/media/networkpolicies"
METRICS = "/apis/metrics.k8s.io/v1beta1/nodes"


@pytest.fixture
def healthy(cluster: FakeCluster) -> FakeCluster:
    fill(cluster)
    cluster.answers[METRICS] = {"kind": "NodeMetricsList", "items": []}
    return cluster


def findings(run: Run, *words: str) -> tuple[int, dict[str, list[Any]]]:
    """Run the doctor; returns its exit code and what it said by check."""
    result = run("cluster", "doctor", "--json", *words)
    found: dict[str, list[Any]] = {}
    for one in json.loads(result.output):
        found.setdefault(one["name"], []).append(one)
    return result.exit_code, found


def test_a_healthy_cluster(healthy: FakeCluster, run: Run) -> None:
    code, found = findings(run)
    assert code == 0
    assert {one["level"] for several in found.values() for one in several} == {"ok"}, found
    assert found["version"][0]["said"] == "Kubernetes v1.34.2"
    assert found["DNS"][0]["said"] == "kube-dns has 2 ready servers"
    assert found["names"][1]["said"] == "marquee-text resolves to its 1 ready pods"
    assert found["policy enforcement"][0]["said"].startswith("probably, by cilium")
    assert found["certificates"][0]["said"] == "the services speak plaintext: none is used"
    assert set(found) >= {"rights of helm", "rights of these commands", "images", "probes", "arrows", "storage"}


def test_versions(cluster: FakeCluster, run: Run) -> None:
    cluster.version = {"major": "1", "minor": "29+", "gitVersion": "v1.29.1-eks"}
    code, found = findings(run)
    assert (code, found["version"][0]["level"]) == (1, "fail")
    assert found["version"][0]["said"] == "Kubernetes v1.29.1-eks, supported is 1.30 to 1.36"
    assert found["release"][0]["level"] == "not checked"  # before the install, that is all right
    cluster.version = {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    assert findings(run)[1]["version"][0]["level"] == "warn"


def test_missing_rights_are_listed_as_rules(healthy: FakeCluster, run: Run) -> None:
    healthy.denied = {("create", "pods/portforward"), ("patch", "deployments/scale"), ("create", "secrets")}
    code, found = findings(run)
    assert code == 1
    (own,), (helm,) = found["rights of these commands"], found["rights of helm"]
    assert own["level"] == "fail"
    assert own["said"] == "missing in namespace media: create pods/portforward, patch deployments/scale"
    assert '- {apiGroups: ["apps"], resources: [deployments/scale], verbs: [patch]}' in own["advice"]
    assert (helm["level"], helm["said"]) == ("warn", "missing in namespace media: create secrets")


def test_a_check_that_is_not_allowed_does_not_end_the_others(healthy: FakeCluster, run: Run) -> None:
    healthy.denied = {("list", "networkpolicies"), ("list", "storageclasses")}
    code, found = findings(run)
    assert code == 1  # of the missing right
    assert found["arrows"][0]["level"] == found["storage"][-1]["level"] == "not checked"
    assert "networkpolicies" in found["arrows"][0]["advice"]
    assert found["certificates"][0]["level"] == "ok"


def test_what_is_wrong_with_pods(healthy: FakeCluster, run: Run) -> None:
    pulling = {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}
    healthy.put(f"{CORE}/pods", pod("text", ready=False, state=pulling))
    healthy.put(f"{CORE}/pods", pod("vision", restarts=5, address="10.0.2.1"))
    found = deployment("classical")
    del found["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    healthy.put(f"{APPS}/deployments", found)
    _, said = findings(run)
    assert [one["said"] for one in said["probes"] if one["level"] != "ok"] == [
        "marquee-text-0 is not ready: ImagePullBackOff: no such tag",
        "marquee-vision-0 was restarted 5 times",
        "classical has no gRPC livenessProbe",
    ]
    assert said["images"][1]["said"].startswith("marquee-text-0 cannot pull registry.example.com/marquee-text:0.7.0")
    assert said["names"][1]["said"] == "marquee-text resolves to 1 addresses, and 0 pods are ready"


def test_names_that_lead_nowhere(healthy: FakeCluster, run: Run) -> None:
    slices = "/apis/discovery.k8s.io/v1/namespaces"
    healthy.put(f"{slices}/kube-system/endpointslices", endpoint_slice("kube-dns", []))
    found = service("text")
    found["spec"]["clusterIP"] = "10.1.1.1"
    healthy.put(f"{CORE}/services", found)
    healthy.remove(f"{CORE}/services/marquee-vision")
    _, said = findings(run)
    assert said["DNS"][0]["said"] == "kube-dns has no ready server: no name is found"
    assert "Service marquee-text is not headless" in said["names"][1]["said"]
    assert [one["said"] for one in said["names"] if one["level"] == "fail"] == ["vision has no Service"]


def test_a_namespace_without_pod_security_and_metrics(healthy: FakeCluster, run: Run) -> None:
    healthy.put("/api/v1/namespaces", namespace_object("media", ""))
    del healthy.answers[METRICS]
    code, said = findings(run)
    assert code == 0
    assert said["Pod Security"][0]["advice"].startswith("kubectl label namespace media pod-security")
    assert "autoscaling by processor time does not work" in said["metrics-server"][0]["said"]


def test_arrows(healthy: FakeCluster, run: Run) -> None:
    healthy.remove(f"{POLICIES}/marquee-vision")
    healthy.remove(f"{POLICIES}/marquee-default-deny")
    _, said = findings(run)
    assert said["arrows"][0]["level"] == "warn"
    assert "any other pod → vision" in said["arrows"][0]["said"]
    spec: Object = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "text"}}, "policyTypes": ["Ingress"]}
    for one in ("orchestrator", "text", "classical"):
        healthy.remove(f"{POLICIES}/marquee-{one}")
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "closed"}}
    healthy.put(POLICIES, {**kind, "spec": spec})
    code, said = findings(run)
    assert code == 1
    assert said["arrows"][0]["said"] == "the policies keep the orchestrator from calling text"


@pytest.mark.parametrize(
    ("caller", "called", "port", "allowed"),
    [
        ("orchestrator", "text", 50061, True),
        ("orchestrator", "text", 50070, False),
        ("text", "vision", 50062, False),
        ("vision", "orchestrator", 50060, False),  # the default denies what a model service may call
    ],
)
def test_what_the_charts_policies_allow(caller: str, called: str, port: int, allowed: bool) -> None:
    ours, theirs = labels(caller), labels(called)
    both = allows(policies(), "Egress", ours, theirs, port) and allows(policies(), "Ingress", theirs, ours, port)
    assert both is allowed


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ({"podSelector": {}}, True),
        ({"namespaceSelector": {}}, True),
        ({"namespaceSelector": {"matchLabels": {"name": "other"}}}, False),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, True),
        ({"ipBlock": {"cidr": "192.0.2.0/24"}}, False),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}}, True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, False),
    ],
)
def test_who_is_meant_by_a_rule(peer: Object, allowed: bool) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer], "ports": [{"port": "grpc"}]}]}
    policy = {"metadata": {"name": "one"}, "spec": spec}
    assert allows([policy], "Ingress", labels("text"), {"role": "caller"}, 50061) is allowed


def certificate(folder: Path, days: int) -> str:
    """A self-signed certificate in PEM form that begins now."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    file = folder / "tls.crt"
    words += ["-keyout", str(folder / "tls.key"), "-out", str(file), "-days", str(days), "-subj", "/CN=marquee"]
    subprocess.run(words, check=True, capture_output=True)
    return file.read_text()


def test_certificates(healthy: FakeCluster, run: Run, tmp_path: Path) -> None:
    for component in ("text", "vision", "classical"):
        found = deployment(component)
        spec = found["spec"]["template"]["spec"]
        spec["volumes"] = [{"name": "tls", "secret": {"secretName": f"{component}-tls"}}]
        healthy.put(f"{APPS}/deployments", found)
    data = {"tls.crt": base64.b64encode(certificate(tmp_path, 5).encode()).decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "text-tls"}}
    healthy.put(f"{CORE}/secrets", {**secret, "data": data})
    ready = {"type": "Ready", "status": "True"}
    healthy.answers["/apis/cert-manager.io/v1/namespaces/media/certificates"] = {
        "items": [
            {
                "metadata": {"name": "vision"},
                "spec": {"secretName": "vision-tls"},
                "status": {"conditions": [ready], "notAfter": "2026-01-01T00:00:00Z"},
            }
        ]
    }
    code, said = findings(run)
    assert code == 1
    assert [one["level"] for one in said["certificates"]] == ["fail", "warn", "fail"]
    missing, soon, ended = said["certificates"]
    assert missing["said"] == "there is no Secret classical-tls, which pods mount"
    assert soon["said"] == "Secret text-tls ends in 5 days"
    assert ended["said"].startswith("certificate vision ended")


def test_the_end_of_a_certificate(tmp_path: Path) -> None:
    end = end_of(ssl.PEM_cert_to_DER_cert(certificate(tmp_path, 40)))
    assert abs(end - datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=40)) < datetime.timedelta(hours=1)
    with pytest.raises(ValueError, match="no certificate"):
        end_of(b"\x30\x03\x02\x01")


def test_for_people(healthy: FakeCluster, run: Run) -> None:
    result = run("cluster", "doctor")
    assert result.exit_code == 0
    assert "✓ version: Kubernetes v1.34.2" in result.output
    assert "0 to look at, 0 wrong." in result.output
