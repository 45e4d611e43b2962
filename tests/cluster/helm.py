"""Helm, pointed at the cluster of the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.chart.tools import CHART, find

VALUES = Path(__file__).with_name("values.yaml")
Object = dict[str, Any]


class HelmFailed(AssertionError):
    """Helm ended with an error; the text is the command and what it said."""


class Helm:
    """Runs Helm on one release.

    Args:
        release: its name.
        namespace: its namespace, which is there already.
        values: of the chart, on top of `values.yaml`.
        context: context of the kubeconfig; empty takes its current one.
        seconds: longest time that Helm may wait for pods.
    """

    def __init__(
        self, release: str, namespace: str, values: Mapping[str, Any], context: str = "", seconds: float = 300.0
    ) -> None:
        self.release = release
        self.namespace = namespace
        self.values = dict(values)
        self._context = context
        self._seconds = seconds

    def install(self) -> str:
        """Install, and wait until everything is ready."""
        return self._with_values("install", self.release, str(CHART), *self._wait())

    def upgrade(self, *settings: str) -> str:
        """Upgrade with the same values and these on top, for example "text.replicas=3"; wait until all is ready."""
        return self._with_values(
            "upgrade", self.release, str(CHART), *self._wait(), *(f"--set={one}" for one in settings)
        )

    def rollback(self) -> str:
        """Go back to the revision before this one."""
        return self._run("rollback", self.release, *self._wait())

    def test(self) -> str:
        """Run `helm test`; returns what Helm said. Not the pod's log: older ones delete the pod before they read it."""
        return self._run("test", self.release, f"--timeout={self._seconds:.0f}s")

    def uninstall(self) -> str:
        """Uninstall, and wait until the objects are gone."""
        return self._run("uninstall", self.release, *self._wait())

    def revision(self) -> int:
        """Return the number of the newest revision."""
        history = yaml.safe_load(self._run("history", self.release, "--output=json"))
        return int(history[-1]["revision"])

    def test_pod(self) -> Object:
        """Return the pod of `helm test` as the release has it."""
        hooks = yaml.safe_load_all(self._run("get", "hooks", self.release))
        return next(one for one in hooks if one and one["kind"] == "Pod")

    def render(self) -> list[Object]:
        """Return what Helm would install, without a cluster."""
        text = self._with_values("template", self.release, str(CHART), cluster=False)
        return [one for one in yaml.safe_load_all(text) if one]

    def _wait(self) -> list[str]:
        return ["--wait", f"--timeout={self._seconds:.0f}s"]

    def _with_values(self, *arguments: str, cluster: bool = True) -> str:
        words = [*arguments, f"--values={VALUES}", "--values=-"]
        return self._run(*words, stdin=yaml.safe_dump(self.values), cluster=cluster)

    def _run(self, *arguments: str, stdin: str = "", cluster: bool = True) -> str:
        command: Sequence[str] = [str(find("helm")), *arguments, f"--namespace={self.namespace}"]
        command = [*command, f"--kube-context={self._context}"] if self._context and cluster else command
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=self._seconds + 120
        )
        if done.returncode:
            raise HelmFailed(f"helm {' '.join(arguments[:2])}: {(done.stderr or done.stdout).strip()}")
        return done.stdout
