"""Asks a service for its health through the standard gRPC health protocol."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Literal, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from marquee_client import Tls
from services.cli.channels import open_channel

Health = Literal["serving", "not serving", "unreachable"]


class HealthProbe:
    """Looks at one service again and again over one connection.

    Args:
        address: `host:port` of the service.
        tls: how to speak TLS; None speaks plaintext.
    """

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        self._address = address
        self._tls = tls
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later look opens a new one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def look(self, seconds: float = 0.5) -> Health:
        """Return the health of the whole process, after `seconds` at the latest."""
        # gRPC waits 100 ms and more between attempts to connect; looking whether anybody listens costs microseconds.
        if self._channel is None and not listens(self._address, seconds):
            return "unreachable"
        if self._channel is None:
            self._channel = open_channel(self._address, [("grpc.use_local_subchannel_pool", 1)], self._tls)
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        try:
            status = stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=seconds).status
        except grpc.RpcError:
            self.close()
            return "unreachable"
        return "serving" if status == health_pb2.HealthCheckResponse.SERVING else "not serving"


def listens(address: str, seconds: float) -> bool:
    """Tell whether anybody accepts connections at a `host:port`; True for other gRPC targets, which may be anything."""
    host, _, port = address.rpartition(":")
    is_plain = port.isdigit() and "/" not in host and (":" not in host or host.startswith("["))
    if not is_plain:  # dns:///name and the like: only gRPC knows how to find them
        return True
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
            return True
    except OSError:
        return False
