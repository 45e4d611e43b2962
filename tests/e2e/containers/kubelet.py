"""The probes of a pod, made as the kubelet makes them: native gRPC health checks at the pod's own address."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.images.engine import Container
from tests.e2e.containers.rendered import Object

_SERVING = health_pb2.HealthCheckResponse.SERVING


class ProbeFailed(AssertionError):
    """The kubelet would have started the container again, or it ended by itself. The text has the end of its log."""


class ProbedPod:
    """A running container with the probes of its pod.

    Args:
        component: which of the mesh's.
        pod: its Pod or pod template.
        container: what runs.
    """

    def __init__(self, component: str, pod: Object, container: Container) -> None:
        self.component = component
        self.container = container
        self.address = container.address()
        self.started = time.monotonic()
        self.ready_seconds: float | None = None
        self._spec = pod["spec"]
        self._container = pod["spec"]["containers"][0]

    @property
    def grace_seconds(self) -> int:
        """Seconds from the beginning of the pod's end until it is killed."""
        return int(self._spec["terminationGracePeriodSeconds"])

    @property
    def wait_before_stop(self) -> float:
        """Seconds of `preStop`, in which the pod is out of its Service and still answers."""
        hook = self._container.get("lifecycle", {}).get("preStop", {})
        return float(hook.get("sleep", {}).get("seconds", 0))

    def port(self, name: str) -> int:
        """Return a port of the container by its name."""
        return next(int(port["containerPort"]) for port in self._container["ports"] if port["name"] == name)

    def probe(self, kind: str) -> bool:
        """Make one probe: `startup`, `readiness` or `liveness`."""
        probe = self._container[f"{kind}Probe"]
        request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
        with grpc.insecure_channel(f"{self.address}:{probe['grpc']['port']}") as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=probe.get("timeoutSeconds", 1))
            except grpc.RpcError:
                return False
        return bool(answer.status == _SERVING)

    def wait_ready(self) -> float:
        """Probe as the kubelet does until the pod is ready; returns the seconds since its start.

        Raises:
            ProbeFailed: the startup probe failed too often, the liveness probe failed, or the process ended.
        """
        startup, readiness = self._container["startupProbe"], self._container["readinessProbe"]
        patience = startup["periodSeconds"] * startup["failureThreshold"]
        self._until(lambda: self.probe("startup"), startup["periodSeconds"], patience, "startup probe")
        while not self.probe("readiness"):
            if not self.container.running():
                raise ProbeFailed(self._story("it ended before it was ready"))
            if not self.alive():
                raise ProbeFailed(self._story("its liveness probe failed before it was ready"))
            if time.monotonic() - self.started > patience:
                raise ProbeFailed(self._story("it did not get ready"))
            time.sleep(readiness["periodSeconds"])
        self.ready_seconds = time.monotonic() - self.started
        return self.ready_seconds

    def alive(self) -> bool:
        """Make the liveness probe, as often as it may fail, a second apart."""
        for _ in range(self._container["livenessProbe"]["failureThreshold"]):
            if self.probe("liveness"):
                return True
            time.sleep(1)
        return False

    def end(self) -> int:
        """End the pod as the kubelet does: `preStop`, SIGTERM, and SIGKILL when the grace period is over.

        Returns the exit code; 137 means that it had to be killed.
        """
        time.sleep(self.wait_before_stop)
        return self.container.stop(self.grace_seconds - int(self.wait_before_stop))

    def _until(self, holds: Callable[[], bool], period: float, patience: float, what: str) -> None:
        while not holds():
            if not self.container.running():
                raise ProbeFailed(self._story("it ended"))
            if time.monotonic() - self.started > patience:
                raise ProbeFailed(self._story(f"its {what} failed for {patience:g} s"))
            time.sleep(period)

    def _story(self, what: str) -> str:
        return f"{self.component}: {what}\n" + "\n".join(self.container.logs().splitlines()[-20:])
