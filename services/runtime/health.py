"""Health per gRPC service: NOT_SERVING until its models passed every check, NOT_SERVING again while draining.

Beside them, liveness: SERVING however far the process is, unless its engines do not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.request_context import CallContext

OVERALL = ""
LIVENESS = "liveness"
"""What a supervisor asks who would restart the process: whether that would help."""
_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """The health of one process, under its services' full names, under the empty name for the whole process, and its
    liveness under `liveness`.

    The library's own servicer keeps watches open while the process drains, and one open watch holds the drain up for
    the whole grace period; here they end with NOT_SERVING.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._status = dict.fromkeys([*services, OVERALL], _Response.NOT_SERVING)
        self._alive = True
        self._draining = False
        self._changed = asyncio.Event()
        self.watches = 0
        """Callers that are told when the health changes."""

    @property
    def serving(self) -> bool:
        """Whether the process as a whole is SERVING."""
        return bool(self._status[OVERALL] == _Response.SERVING)

    @property
    def draining(self) -> bool:
        """Whether the process has been told to stop."""
        return self._draining

    async def wait_for_drain(self) -> None:
        """Return when the process has been told to stop."""
        while not self._draining:
            await self._changed.wait()

    def set_serving(self, serving: bool) -> None:
        """Set every service of the process; one that drains stays NOT_SERVING."""
        if not self._draining and serving != self.serving:
            self._set_all(_Response.SERVING if serving else _Response.NOT_SERVING)

    def set_alive(self, alive: bool) -> None:
        """Set the liveness. What waiting may cure is no reason to turn it off: loading, draining, a lost store."""
        if alive != self._alive:
            self._alive = alive
            self._tell()

    def drain(self) -> None:
        """Set NOT_SERVING for good, so that callers look elsewhere while calls in flight finish."""
        self._draining = True
        self._set_all(_Response.NOT_SERVING)

    async def Check(self, request: Any, context: CallContext) -> Any:
        """Return the health of one service; NOT_FOUND for a name that this process does not serve."""
        status = self._status_of(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "this process serves no such service")
        return _Response(status=status)

    async def Watch(self, request: Any, context: CallContext) -> AsyncIterator[Any]:
        """Send the health of one service now and whenever it changes, until the process drains."""
        sent = None
        self.watches += 1
        try:
            while True:
                changed = self._changed
                status = self._status_of(request.service)
                if status != sent:
                    yield _Response(status=status)
                    sent = status
                if self._draining and self._changed is changed:
                    return
                await changed.wait()
        finally:
            self.watches -= 1

    def _status_of(self, service: str) -> Any:
        if service == LIVENESS:
            return _Response.SERVING if self._alive else _Response.NOT_SERVING
        return self._status.get(service, _Response.SERVICE_UNKNOWN)

    def _set_all(self, status: Any) -> None:
        self._status = dict.fromkeys(self._status, status)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
