"""A second port for probes: health in plaintext, and nothing else.

Kubernetes' own gRPC probes know no TLS, and must be answered from the first moment of a process.
"""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from services.runtime.health import Health
from services.runtime.logs import get_logger
from services.runtime.request_context import CallContext
from services.runtime.settings import ServiceSettings
from services.runtime.startup import AddressInUse

_MOST_CALLS = 64
_LARGEST_REQUEST = 4 << 10
_IDLE_MILLISECONDS = 60_000
_logger = get_logger(__name__)


class _Checks(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers `Check`; a `Watch` would keep one of the few places for as long as it likes."""

    def __init__(self) -> None:
        self.health = Health([])

    async def Check(self, request: Any, context: CallContext) -> Any:
        return await self.health.Check(request, context)

    async def Watch(self, request: Any, context: CallContext) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this port answers Check only; the service's own has Watch")


class HealthPort:
    """Listens from before anything is loaded until all is given back. Does nothing where `health_port` is unset.

    Args:
        settings: which address and port.

    Attributes:
        port: port that it listens on; 0 while it does not.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._checks = _Checks()
        self._server: grpc.aio.Server | None = None
        self.port = 0

    def show(self, health: Health) -> None:
        """Answer with this health from now on; until then, the process lives and serves nothing."""
        self._checks.health = health

    async def start(self) -> None:
        """Listen, unless it does already.

        Raises:
            AddressInUse: the address cannot be listened on.
        """
        if self._settings.health_port is None or self._server is not None:
            return
        server = grpc.aio.server(
            maximum_concurrent_rpcs=_MOST_CALLS,
            options=[
                ("grpc.max_receive_message_length", _LARGEST_REQUEST),
                ("grpc.max_connection_idle_ms", _IDLE_MILLISECONDS),
                ("grpc.so_reuseport", 0),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._checks, server)
        address = f"{self._settings.host}:{self._settings.health_port}"
        try:
            self.port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise AddressInUse(
                f"cannot listen on {address} for health: the port is taken or the address is not this machine's; set "
                "another health_port, 0 for a free one"
            ) from error
        await server.start()
        self._server = server
        _logger.info("health port", host=self._settings.host, port=self.port)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
