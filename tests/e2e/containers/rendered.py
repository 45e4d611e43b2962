"""The chart as Helm renders it, looked into as the API server, the kubelet and the cluster's DNS would."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from deploy.chart.tools import render

Object = dict[str, Any]

NAMESPACE = "marquee"
RELEASE = "marquee"
_COMPONENT = "app.kubernetes.io/component"
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class Rendered:
    """The objects of one installation.

    Args:
        values: of the chart.
        more: objects that are there already: Secrets that the values name.
        options: further arguments of `helm template`.
    """

    def __init__(self, values: Mapping[str, Any], more: Sequence[Object] = (), options: Sequence[str] = ()) -> None:
        text = render(values, release=RELEASE, namespace=NAMESPACE, options=options)
        self.objects: list[Object] = [one for one in yaml.safe_load_all(text) if one] + list(more)

    def of_kind(self, kind: str) -> list[Object]:
        """Return all objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def named(self, kind: str, name: str) -> Object:
        """Return an object by its name; fails where a reference leads nowhere."""
        found = [one for one in self.of_kind(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"the chart refers to {kind} {name!r}, and there are {len(found)} of it"
        return found[0]

    def of_component(self, kind: str, component: str) -> Object:
        """Return the one object of a kind that a component has."""
        found = [one for one in self.of_kind(kind) if one["metadata"]["labels"].get(_COMPONENT) == component]
        assert len(found) == 1, f"{component} has {len(found)} objects of kind {kind}"
        return found[0]

    def pod(self, component: str) -> Object:
        """Return the pod template of a component's Deployment."""
        template: Object = self.of_component("Deployment", component)["spec"]["template"]
        return template

    def test_pod(self) -> Object:
        """Return the pod that `helm test` runs."""
        return self.of_component("Pod", "test")

    def training_pod(self) -> Object:
        """Return the pod template of the training Job."""
        job = self.of_component("CronJob", "trainer")["spec"]["jobTemplate"]
        template: Object = job["spec"]["template"]
        return template

    def names_of(self, pod: Object) -> list[str]:
        """Return what the cluster's DNS calls a ready pod: the names of the headless Services that select it."""
        labels = pod["metadata"]["labels"]
        names = []
        for service in self.of_kind("Service"):
            if service["spec"].get("clusterIP") != "None":
                continue
            if all(labels.get(key) == value for key, value in service["spec"]["selector"].items()):
                name = service["metadata"]["name"]
                names += [name, f"{name}.{NAMESPACE}", f"{name}.{NAMESPACE}.svc"]
                names.append(f"{name}.{NAMESPACE}.svc.cluster.local")
        return names

    def environment(self, container: Object) -> dict[str, str]:
        """Return the variables of a container, with Secrets, ConfigMaps and its own resources looked up."""
        return {entry["name"]: self._value(entry, container) for entry in container.get("env", [])}

    def secret(self, name: str) -> dict[str, bytes]:
        """Return the content of a Secret."""
        found = self.named("Secret", name)
        plain = {key: value.encode() for key, value in found.get("stringData", {}).items()}
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()} | plain

    def _value(self, entry: Object, container: Object) -> str:
        if "valueFrom" not in entry:
            return str(entry.get("value", ""))
        source = entry["valueFrom"]
        if "secretKeyRef" in source:
            reference = source["secretKeyRef"]
            return self.secret(reference["name"])[reference["key"]].decode()
        if "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            return str(self.named("ConfigMap", reference["name"])["data"][reference["key"]])
        reference = source["resourceFieldRef"]
        assert reference["resource"] == "requests.cpu", reference
        return str(math.ceil(cores(container["resources"]["requests"]["cpu"])))


def cores(quantity: str) -> float:
    """Return a quantity of processors, for example "250m", as a number."""
    text = str(quantity)
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def bytes_of(quantity: str) -> int:
    """Return a quantity of memory, for example "256Mi", in bytes."""
    text = str(quantity)
    return int(float(text[:-2]) * _UNITS[text[-2:]]) if text[-2:] in _UNITS else int(text)
