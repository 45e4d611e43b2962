"""Settings of a workload: environment variables, wherever they come from."""

from __future__ import annotations

from services.cli.cluster.api import Object
from services.cli.cluster.release import Release, container_of

NOT_READ = "(from a Secret)"
"""Stands for a value that lies in a Secret: it is not read."""


def setting_of(release: Release, workload: Object, name: str) -> str | None:
    """Return the value of a variable of a workload's first container; None when it has none.

    Args:
        release: the mesh.
        workload: a pod, or what makes pods.
        name: of the variable.
    """
    container = container_of(workload)
    for one in container.get("env") or []:
        if one["name"] == name:
            source = one.get("valueFrom") or {}
            if "configMapKeyRef" in source:
                return _config_map(release, source["configMapKeyRef"]["name"]).get(source["configMapKeyRef"]["key"])
            return NOT_READ if source else str(one.get("value", ""))
    for source in reversed(container.get("envFrom") or []):
        if "configMapRef" in source:
            values = _config_map(release, source["configMapRef"]["name"])
            prefix = source.get("prefix", "")
            if name.startswith(prefix) and name[len(prefix) :] in values:
                return values[name[len(prefix) :]]
        elif "secretRef" in source:
            return NOT_READ  # perhaps: its keys are not ours to read
    return None


def _config_map(release: Release, name: str) -> dict[str, str]:
    found = release.api.find(f"{release.path('configmaps')}/{name}")
    return dict((found or {}).get("data") or {})
