"""Health per gRPC service: NOT_SERVING until its models passed every check, NOT_SERVING again while draining."""

from __future__ import annotations

from collections.abc import Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

OVERALL = ""


class Health:
    """The health of one process, under its services' full names and under the empty name for the whole process."""

    def __init__(self, services: Iterable[str]) -> None:
        self.servicer = HealthServicer()
        self._services = [*services, OVERALL]

    async def set_serving(self, serving: bool) -> None:
        """Set every service of the process."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self.servicer.set(service, status)

    async def drain(self) -> None:
        """Set NOT_SERVING for good, so that callers look elsewhere while calls in flight finish."""
        await self.servicer.enter_graceful_shutdown()
