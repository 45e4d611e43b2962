"""The release that tests share, and the namespaces that they make."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from services.cli.cluster.release import Release
from tests.cluster.cluster import RESTRICTED, Cluster, Object
from tests.cluster.helm import Helm
from tests.cluster.settings import ClusterTestSettings

RELEASE = "marquee"
TOKEN_KEYS = "marquee-signing-keys"


class Namespaces:
    """Namespaces of this run.

    Args:
        cluster: where.
        settings: how they are called, and whether they stay.
    """

    def __init__(self, cluster: Cluster, settings: ClusterTestSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._run = uuid.uuid4().hex[:6]
        self._made: list[str] = []

    def make(self, purpose: str, *, restricted: bool = True) -> str:
        """Make a namespace in which the restricted profile is enforced; returns its name."""
        name = f"{self._settings.namespace_prefix}-{purpose}-{self._run}"
        self._made.append(name)
        self._cluster.make_namespace(name, RESTRICTED if restricted else {})
        self._copy_pull_secret(name)
        return name

    def delete(self, name: str) -> None:
        """Delete one before the end."""
        self._made.remove(name)
        self._cluster.delete_namespace(name)

    def close(self) -> None:
        """Delete them all, unless they are to stay."""
        if not self._settings.keep:
            for name in list(self._made):
                self.delete(name)

    def _copy_pull_secret(self, namespace: str) -> None:
        source, _, name = self._settings.pull_secret.rpartition("/")
        if not name:
            return
        found = self._cluster.api.get(f"/api/v1/namespaces/{source or 'default'}/secrets/{name}")
        self._cluster.create(
            namespace,
            "secrets",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "type": found["type"],
                "data": found["data"],
            },
        )


@dataclass(frozen=True)
class Mesh:
    """An installed mesh with a catalogue and a bundle.

    Attributes:
        cluster: where it runs.
        helm: its release.
        replicated: it keeps its store in PostgreSQL and has two orchestrators; else it has one, with SQLite.
        why_not: why it is not replicated.
    """

    cluster: Cluster
    helm: Helm
    replicated: bool
    why_not: str

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.helm.namespace

    @property
    def release(self) -> Release:
        """The release as it is now."""
        return self.cluster.release(self.namespace, self.helm.release)

    def marquee(self, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `marquee cluster …` on it, as a person would."""
        command = [sys.executable, "-m", "services.cli.main", "cluster", *arguments, f"--namespace={self.namespace}"]
        if self.cluster.api.context and kubeconfig is None:
            command.append(f"--context={self.cluster.api.context}")
        environment = {**os.environ, "COLUMNS": "160"} | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=self.cluster.patience + 120
        )


def secret(name: str, content: dict[str, str]) -> Object:
    """Return a Secret."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": data}
