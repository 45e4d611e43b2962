"""The policies allow the arrows of the mesh and no others, seen from the pods that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.chart import MODEL_SERVICES, PORTS, POSTGRESQL, Chart, Manifest, chart

HEALTH_AND_METRICS = (50070, 9464)
ARROWS = {
    ("orchestrator", "text", 50061),
    ("orchestrator", "vision", 50062),
    ("orchestrator", "classical", 50063),
    ("trainer", "orchestrator", 50060),
    ("test", "orchestrator", 50060),
}


def _policies(rendered: Chart, labels: Manifest) -> Iterator[Manifest]:
    for policy in rendered.kind("NetworkPolicy"):
        if policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items():
            yield policy["spec"]


def _allows(rules: list[Manifest], side: str, labels: Manifest, port: int) -> bool:
    return any(
        _has_port(rule, port)
        and any(
            "namespaceSelector" not in peer
            and "ipBlock" not in peer
            and peer["podSelector"].get("matchLabels", {}).items() <= labels.items()
            for peer in rule[side]
        )
        for rule in rules
        if side in rule
    )


def _has_port(rule: Manifest, port: int) -> bool:
    return port in [one["port"] for one in rule["ports"]]


def _arrows(rendered: Chart) -> set[tuple[str, str, int]]:
    """Return who may call whom on which port, among the pods of the release."""
    pods = {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template["metadata"]["labels"]
        for template in rendered.templates()
    }
    found = set()
    for source, source_labels in pods.items():
        out = [rule for policy in _policies(rendered, source_labels) for rule in policy.get("egress", [])]
        for target, target_labels in pods.items():
            into = [rule for policy in _policies(rendered, target_labels) for rule in policy.get("ingress", [])]
            for port in (*PORTS.values(), *HEALTH_AND_METRICS):
                if _allows(out, "to", target_labels, port) and _allows(into, "from", source_labels, port):
                    found.add((source, target, port))
    return found


def test_the_arrows_inside_the_release() -> None:
    assert _arrows(chart()) == ARROWS
    assert _arrows(chart(POSTGRESQL)) == ARROWS
    assert _arrows(chart({"trainer.enabled": False, "test.enabled": False})) == {
        arrow for arrow in ARROWS if arrow[0] == "orchestrator"
    }


def test_whatever_is_not_named_is_denied() -> None:
    (deny,) = [one["spec"] for one in chart().kind("NetworkPolicy") if "default-deny" in one["metadata"]["name"]]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    for template in chart().templates():
        assert deny["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_callers_are_those_of_the_values() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"team": "store"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    rules = chart({"networkPolicy.clients": peers}).one("NetworkPolicy", "orchestrator")["spec"]["ingress"]
    calls = next(rule for rule in rules if _has_port(rule, 50060))
    assert calls["from"][:2] == peers
    assert len(calls["from"]) == 4  # the trainer and `helm test`, too


def test_metrics_are_for_prometheus_alone() -> None:
    for component in PORTS:
        rules = chart().one("NetworkPolicy", component)["spec"]["ingress"]
        (scrape,) = [rule for rule in rules if _has_port(rule, 9464)]
        assert scrape["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_the_database_is_reached_by_the_orchestrator_alone() -> None:
    peer = [{"ipBlock": {"cidr": "10.1.2.0/24"}}]
    rendered = chart({**POSTGRESQL, "networkPolicy.postgresql.to": peer, "networkPolicy.postgresql.port": 6432})
    reaching = {
        policy["metadata"]["labels"]["app.kubernetes.io/component"]: rule.get("to")
        for policy in rendered.kind("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        if _has_port(rule, 6432)
    }
    assert reaching == {"orchestrator": peer}


def _egress_ports(rendered: Chart, component: str) -> set[Any]:
    rules = rendered.one("NetworkPolicy", component)["spec"].get("egress", [])
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_a_model_service_calls_nobody_but_the_trace_collector() -> None:
    traced = chart({"tracing.endpoint": "http://collector.observability.svc:4319"})
    for component in MODEL_SERVICES:
        assert _egress_ports(chart(), component) == set()
        assert _egress_ports(traced, component) == {53, 4319}
    assert _egress_ports(chart(), "orchestrator") == {50061, 50062, 50063, 53}
    assert _egress_ports(chart(), "trainer") == {50060, 53}


def test_names_are_resolved_by_the_cluster_alone() -> None:
    rules = chart().one("NetworkPolicy", "orchestrator")["spec"]["egress"]
    (names,) = [rule for rule in rules if _has_port(rule, 53)]
    assert {port["protocol"] for port in names["ports"]} == {"UDP", "TCP"}
    assert names["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
