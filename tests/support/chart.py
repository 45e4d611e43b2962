"""The chart as Helm renders it, for tests."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from deploy.chart.tools import ToolMissing, find, render

Manifest = dict[str, Any]

SERVING = ("orchestrator", "text", "vision", "classical")
MODEL_SERVICES = SERVING[1:]
PORTS = {"orchestrator": 50060, "text": 50061, "vision": 50062, "classical": 50063}
POSTGRESQL = {"store.type": "postgresql", "store.postgresql.existingSecret": "database"}


def need_helm() -> None:
    """Skip the test where Helm is neither installed nor fetched."""
    try:
        find("helm")
    except ToolMissing as missing:
        pytest.skip(str(missing))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a tree: {"a.b": 1} becomes {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


class Chart:
    """The manifests of one set of values."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self.manifests = list(manifests)

    def kind(self, kind: str) -> list[Manifest]:
        """Return all objects of a kind."""
        return [one for one in self.manifests if one["kind"] == kind]

    def one(self, kind: str, component: str) -> Manifest:
        """Return the only object of a kind and a component."""
        found = [
            one for one in self.kind(kind) if one["metadata"]["labels"]["app.kubernetes.io/component"] == component
        ]
        assert len(found) == 1, f"{len(found)} objects {kind} of {component}"
        return found[0]

    def named(self, kind: str, name: str) -> Manifest:
        """Return an object by its name."""
        return next(one for one in self.kind(kind) if one["metadata"]["name"] == name)

    def templates(self) -> Iterator[Manifest]:
        """Yield everything that describes a pod: templates with metadata and spec, and the pod of `helm test`."""
        for one in self.manifests:
            if one["kind"] == "Deployment":
                yield one["spec"]["template"]
            elif one["kind"] == "CronJob":
                yield one["spec"]["jobTemplate"]["spec"]["template"]
            elif one["kind"] == "Pod":
                yield one

    def pod(self, component: str) -> Manifest:
        """Return the spec of the pods of a serving component."""
        spec: Manifest = self.one("Deployment", component)["spec"]["template"]["spec"]
        return spec

    def container(self, component: str) -> Manifest:
        """Return the only container of a serving component."""
        (container,) = self.pod(component)["containers"]
        return dict(container)

    def environment(self, component: str) -> dict[str, Any]:
        """Return the variables of a serving component; a dict where the value comes from elsewhere."""
        return {one["name"]: one.get("value", one.get("valueFrom")) for one in self.container(component)["env"]}


def chart(flat: Mapping[str, Any] | None = None, *, release: str = "marquee") -> Chart:
    """Render the chart with values that are named by their paths; the namespace is `games`."""
    need_helm()
    return Chart(copy.deepcopy(_rendered(json.dumps(nested(flat or {}), sort_keys=True), release)))


@functools.lru_cache(maxsize=64)
def _rendered(values: str, release: str) -> list[Manifest]:
    text = render(json.loads(values), release=release, namespace="games")
    return [one for one in yaml.load_all(text, Loader=_StrictLoader) if one]


class _StrictLoader(yaml.CSafeLoader):
    """Refuses a key that is there twice, as Kubernetes does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key is there twice among {keys}{node.start_mark}"
        return super().construct_mapping(node, deep=deep)
