"""Which rights the commands and Helm need, and which of them one has."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from services.cli.cluster.api import ClusterApi
from services.cli.cluster.checks import Check, Level
from services.cli.cluster.refusals import Access

_AT_ONCE = 8
_LOOK = ("get", "list", "watch")
_COMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): _LOOK,
    ("", "pods/log"): ("get",),
    ("", "pods/portforward"): ("get", "create"),  # newer servers ask for create too
    ("", "configmaps"): ("get",),
    ("", "services"): ("list",),
    ("apps", "deployments"): _LOOK,
    ("apps", "deployments/scale"): ("get", "patch"),
    ("autoscaling", "horizontalpodautoscalers"): ("list",),
    ("batch", "cronjobs"): ("list",),
    ("batch", "jobs"): (*_LOOK, "create"),
    ("discovery.k8s.io", "endpointslices"): ("list",),
    ("networking.k8s.io", "networkpolicies"): ("list",),
}
_CHANGE = ("get", "list", "create", "patch", "delete")
_HELM: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "secrets"): (*_CHANGE, "update"),  # Helm keeps its releases in them
    ("", "serviceaccounts"): _CHANGE,
    ("", "configmaps"): _CHANGE,
    ("", "services"): _CHANGE,
    ("", "persistentvolumeclaims"): _CHANGE,
    ("apps", "deployments"): _CHANGE,
    ("autoscaling", "horizontalpodautoscalers"): _CHANGE,
    ("batch", "cronjobs"): _CHANGE,
    ("batch", "jobs"): _CHANGE,
    ("networking.k8s.io", "networkpolicies"): _CHANGE,
    ("policy", "poddisruptionbudgets"): _CHANGE,
}


def check_rights(api: ClusterApi, namespace: str) -> Iterator[Check]:
    """Ask the server for every right, and name the rules that are missing."""
    for who, needed, level in (("these commands", _COMMANDS, Level.FAIL), ("helm", _HELM, Level.WARN)):
        asked = [Access(verb, what, group, namespace) for (group, what), verbs in needed.items() for verb in verbs]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            missing = [one for one, allowed in zip(asked, pool.map(api.may, asked), strict=True) if not allowed]
        name = f"rights of {who}"
        if not missing:
            yield Check(name, Level.OK, f"all {len(asked)} in namespace {namespace}")
        else:
            words = ", ".join(f"{one.verb} {one.resource}" for one in missing)
            yield Check(name, level, f"missing in namespace {namespace}: {words}", rules_of(missing))


def rules_of(accesses: list[Access]) -> str:
    """Return the rules of a Role that grant all of these, one for each resource, as YAML."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for one in accesses:
        verbs.setdefault((one.group, one.resource), []).append(one.verb)
    rules = [
        f'- {{apiGroups: ["{group}"], resources: [{resource}], verbs: [{", ".join(found)}]}}'
        for (group, resource), found in verbs.items()
    ]
    return "\n".join(
        ["Ask for these rules in a Role of the namespace (`operatorRole` of the chart has the commands'):", *rules]
    )
