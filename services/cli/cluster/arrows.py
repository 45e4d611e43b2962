"""Do the NetworkPolicies allow the mesh's arrows, and no others?"""

from __future__ import annotations

from collections.abc import Iterator

from services.cli.cluster.api import ClusterApi, Object
from services.cli.cluster.checks import Check, Level
from services.cli.cluster.refusals import Refused
from services.cli.cluster.release import (
    COMPONENT,
    INSTANCE,
    MODEL_SERVICES,
    NAME,
    ORCHESTRATOR,
    Release,
    name_of,
    port_of,
)

Labels = dict[str, str]

_STRANGER: Labels = {"app": "stranger"}
_ENFORCING = ("antrea", "calico", "canal", "cilium", "kube-router", "weave", "ovn", "azure-npm", "kindnet", "aws-node")
_IGNORING = ("flannel",)


def check_arrows(release: Release) -> Iterator[Check]:
    """Compare what the policies allow with what the mesh needs, and guess whether anybody enforces them."""
    policies = release.api.objects(release.path("networkpolicies", "networking.k8s.io/v1"))
    if not policies:
        yield Check(
            "arrows",
            Level.WARN,
            f"namespace {release.namespace} has no NetworkPolicy: every pod of the cluster may call every service",
            "Switch them on in the values: networkPolicy.enabled=true",
        )
        return
    services = [name for name in MODEL_SERVICES if name in release.deployments]
    for service in services:
        port = port_of(release.deployment(service), "grpc")
        source, target = _labels(release, ORCHESTRATOR), _labels(release, service)
        if not (allows(policies, "Egress", source, target, port) and allows(policies, "Ingress", target, source, port)):
            said = f"the policies keep the orchestrator from calling {service}"
            yield Check(
                "arrows", Level.FAIL, said, "helm upgrade brings the chart's policies back; look for others, too."
            )
    open_to = [
        f"{caller} → {service}"
        for service in services
        for caller, labels in (
            *((other, _labels(release, other)) for other in services if other != service),
            ("any other pod", _STRANGER),
        )
        if allows(policies, "Egress", labels, _labels(release, service), port_of(release.deployment(service), "grpc"))
        and allows(policies, "Ingress", _labels(release, service), labels, port_of(release.deployment(service), "grpc"))
    ]
    if open_to:
        said = f"the policies allow what the mesh does not need: {', '.join(open_to)}"
        yield Check("arrows", Level.WARN, said, "Only the orchestrator calls the model services.")
    else:
        yield Check(
            "arrows", Level.OK, f"{len(policies)} policies allow the mesh's arrows and no others between its pods"
        )
    yield from _enforcement(release.api)


def allows(policies: list[Object], direction: str, pod: Labels, peer: Labels, port: int) -> bool:
    """Tell whether policies let a pod talk with another pod of its namespace.

    Args:
        policies: NetworkPolicies of the namespace.
        direction: "Ingress": whether the pod may be called; "Egress": whether it may call.
        pod: labels of the pod.
        peer: labels of the other one.
        port: TCP port that is called.
    """
    rules_of = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}
    field, peers = rules_of[direction]
    selecting = [
        one["spec"] for one in policies if direction in _types(one) and _selects(one["spec"]["podSelector"], pod)
    ]
    if not selecting:  # a pod that no policy selects is open
        return True
    return any(
        _has_port(rule.get("ports"), port) and (not rule.get(peers) or any(_is_peer(one, peer) for one in rule[peers]))
        for spec in selecting
        for rule in spec.get(field) or []
    )


def _types(policy: Object) -> list[str]:
    spec = policy["spec"]
    return list(spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])])


def _is_peer(peer: Object, labels: Labels) -> bool:
    """Tell whether a peer of a rule is a pod of the same namespace with these labels."""
    if peer.get("namespaceSelector"):
        return False  # names other namespaces, or this one by its labels, which are not looked up
    if "podSelector" in peer:
        return _selects(peer["podSelector"], labels)
    everywhere = (peer.get("ipBlock") or {}).get("cidr") in ("0.0.0.0/0", "::/0")
    return everywhere or "namespaceSelector" in peer


def _has_port(ports: list[Object] | None, port: int) -> bool:
    if not ports:
        return True
    for one in ports:
        named = one.get("port", port)
        if one.get("protocol", "TCP") != "TCP":
            continue
        if isinstance(named, int):
            if named <= port <= one.get("endPort", named):
                return True
        elif named == "grpc":  # names are those of the pod's ports
            return True
    return False


def _selects(selector: Object, labels: Labels) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or []:
        value, values = labels.get(one["key"]), one.get("values") or []
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[one["operator"]]
        if not holds:
            return False
    return True


def _labels(release: Release, component: str) -> Labels:
    return {NAME: "marquee", INSTANCE: release.name, COMPONENT: component}


def _enforcement(api: ClusterApi) -> Iterator[Check]:
    try:
        names = [name_of(one) for one in api.objects("/apis/apps/v1/namespaces/kube-system/daemonsets")]
    except Refused:
        names = []
    enforcing = [name for name in names if any(word in name for word in _ENFORCING)]
    ignoring = [name for name in names if any(word in name for word in _IGNORING)]
    if enforcing:
        yield Check("policy enforcement", Level.OK, f"probably, by {enforcing[0]}: the API does not tell for sure")
    else:
        said = f"{ignoring[0]} does not enforce policies" if ignoring else "no network plugin is known by its name"
        advice = "Policies do nothing without a plugin that enforces them; tests/cluster tries it with a pod."
        yield Check("policy enforcement", Level.WARN, said, advice)
