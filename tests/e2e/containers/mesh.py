"""A whole mesh of containers, made of the chart."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.images.engine import Container, Engine
from marquee_client import MarqueeClient, Tls
from tests.cluster.load_pod import LoadReport, load_pod, read_report
from tests.e2e.containers.kubelet import ProbedPod
from tests.e2e.containers.pods import Pods
from tests.e2e.containers.rendered import NAMESPACE, Object, Rendered

COMPONENTS = ("orchestrator", "text", "vision", "classical")
IMAGES: dict[str, Any] = {"registry": "localhost", "repository": "marquee"}
"""The chart's values for the images that `make images` builds."""
_JOB_SECONDS = 180.0


class ContainerMesh:
    """Starts, replaces and ends the pods of one installation.

    Args:
        pods: starts them.
    """

    def __init__(self, pods: Pods) -> None:
        self.rendered = pods.rendered
        self.pods: dict[str, list[ProbedPod]] = {name: [] for name in COMPONENTS}
        self._pods = pods
        self._extra: list[Container] = []

    def start(self) -> float:
        """Start all pods at once; returns the seconds until the last one is ready."""
        began = time.monotonic()
        started = [self.start_pod(name) for name in COMPONENTS for _ in range(self._replicas(name))]
        for pod in started:
            pod.wait_ready()
        return time.monotonic() - began

    def start_pod(self, component: str) -> ProbedPod:
        """Start one more pod of a component, and do not wait for it."""
        template = self.rendered.pod(component)
        pod = ProbedPod(component, template, self._pods.start(template))
        self.pods[component].append(pod)
        return pod

    def end_pod(self, pod: ProbedPod) -> int:
        """End a pod as the kubelet does, and take it away; returns its exit code."""
        code = pod.end()
        self.remove_pod(pod)
        return code

    def remove_pod(self, pod: ProbedPod) -> None:
        """Take a pod away, whatever it does."""
        self.pods[pod.component].remove(pod)
        pod.container.remove()

    def roll(self, component: str) -> list[int]:
        """Replace the pods of a component one by one, with maxSurge 1 and maxUnavailable 0; returns exit codes."""
        codes = []
        for old in list(self.pods[component]):
            self.start_pod(component).wait_ready()
            codes.append(self.end_pod(old))
        return codes

    def client(self, tls: Tls | None = None) -> MarqueeClient:
        """Return a client of the first orchestrator."""
        pod = self.pods["orchestrator"][0]
        return MarqueeClient(f"{pod.address}:{pod.port('grpc')}", timeout=30, tls=tls)

    def run_job(self, pod: Object) -> tuple[int, str]:
        """Run a pod until its end; returns exit code and log."""
        container = self._pods.start(pod)
        self._extra.append(container)
        deadline = time.monotonic() + _JOB_SECONDS
        while container.running():
            assert time.monotonic() < deadline, f"it does not end:\n{container.logs()}"
            time.sleep(0.3)
        return container.exit_code(), container.logs()

    @contextmanager
    def load(self, **variables: str) -> Iterator[RunningLoad]:
        """Call the mesh from a container of its network for the length of a block."""
        pod = load_pod(self.rendered.test_pod(), NAMESPACE, variables)
        container = self._pods.start(pod)
        self._extra.append(container)
        yield RunningLoad(container)

    def _replicas(self, component: str) -> int:
        return int(self.rendered.of_component("Deployment", component)["spec"]["replicas"])

    def memory_bytes(self) -> dict[str, int]:
        """Return the resident memory of each component, in bytes."""
        return {name: sum(pod.container.memory_bytes() for pod in pods) for name, pods in self.pods.items()}

    def close(self) -> None:
        """Take everything away."""
        for container in [*self._extra, *(pod.container for pods in self.pods.values() for pod in pods)]:
            with contextlib.suppress(OSError):
                container.remove()


class RunningLoad:
    """A load that goes on."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def report(self) -> LoadReport:
        """Return what it saw so far."""
        return read_report(self._container.logs())

    def wait_until_it_calls(self) -> None:
        """Wait until calls have come back."""
        deadline = time.monotonic() + 60
        while '"recommend"' not in self._container.logs():
            assert time.monotonic() < deadline, f"no call came back:\n{self._container.logs()}"
            assert self._container.running(), self._container.logs()
            time.sleep(0.3)

    def finish(self) -> LoadReport:
        """Stop it, wait for its last calls, and return what it saw."""
        self._container.stop(30)
        report = self.report()
        assert report.done, f"the load was cut off:\n{self._container.logs()[-2000:]}"
        return report


@contextmanager
def container_mesh(
    engine: Engine,
    folder: Path,
    values: Mapping[str, Any],
    more: Sequence[Object] = (),
    mounts: Mapping[str, Path] | None = None,
) -> Iterator[ContainerMesh]:
    """Make a network for an installation, and take all away at the end; the pods are not started yet.

    Args:
        engine: what runs containers.
        folder: where volumes and Secrets lie on this machine.
        values: of the chart; the images are the ones built here.
        more: Secrets that the values name.
        mounts: see `Pods`.
    """
    rendered = Rendered({"image": IMAGES, **values}, more)
    network = f"marquee-{uuid.uuid4().hex[:8]}"
    engine.create_network(network)
    mesh = ContainerMesh(Pods(engine, rendered, network, folder, mounts))
    try:
        yield mesh
    finally:
        mesh.close()
        engine.remove_network(network)
