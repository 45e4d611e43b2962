"""The life of a service process: listen, load, serve, drain, stop."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc
import uvloop
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime.health import Health
from services.runtime.interceptor import CallInterceptor
from services.runtime.logs import configure_logs, get_logger
from services.runtime.settings import ServiceSettings

_logger = get_logger(__name__)
_LARGEST_OPTION = 2**31 - 1


class CannotStart(RuntimeError):
    """The service cannot start; the message says why and what to do."""


class AddressInUse(CannotStart):
    """The address cannot be listened on."""


@dataclass(frozen=True)
class ServiceDefinition:
    """What distinguishes one service from another.

    Attributes:
        name: short name, for example "text".
        contracts: full names of its gRPC services, for health and reflection.
        attach: adds its servicers to the server.
        start: loads what it needs, off the event loop where that takes long; returns why it cannot serve, empty when
        it can.
        stop: gives back what `start` took.
    """

    name: str
    contracts: Sequence[str]
    attach: Callable[[grpc.aio.Server], None]
    start: Callable[[], Awaitable[Sequence[str]]]
    stop: Callable[[], Awaitable[None]]


class ServiceServer:
    """One listening service; used by `run_service` and, in tests, inside the test's own event loop."""

    def __init__(self, definition: ServiceDefinition, settings: ServiceSettings) -> None:
        self._definition = definition
        self._settings = settings
        self._health = Health(definition.contracts)
        self._server = grpc.aio.server(
            interceptors=[CallInterceptor(settings)],
            options=[
                # Twice our own limit: the interceptor answers with details, the transport only guards memory.
                ("grpc.max_receive_message_length", min(settings.maximum_message_bytes * 2, _LARGEST_OPTION)),
                ("grpc.max_send_message_length", -1),
                # Two processes must not share a port unnoticed.
                ("grpc.so_reuseport", 0),
            ],
        )
        self.port = 0

    async def start(self) -> None:
        """Listen, load, and become SERVING when everything required is ready.

        Raises:
            AddressInUse: the address cannot be bound.
        """
        begin = time.monotonic()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._definition.attach(self._server)
        reflection.enable_server_reflection(
            [*self._definition.contracts, "grpc.health.v1.Health", reflection.SERVICE_NAME], self._server
        )
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError:
            self.port = 0
        if self.port == 0:
            raise AddressInUse(f"cannot listen on {address}: the port is taken or the address is not this machine's")
        await self._server.start()
        _logger.info("listening", host=self._settings.host, port=self.port)
        problems = await self._definition.start()
        if problems:
            for problem in problems:
                _logger.error("not serving", reason=problem)
            return
        self._health.set_serving(True)
        _logger.info("serving", port=self.port, seconds=round(time.monotonic() - begin, 3))

    async def stop(self) -> None:
        """Drain: tell callers to go elsewhere, let calls in flight finish within the grace period, give everything
        back.
        """
        self._health.drain()
        await self._server.stop(self._settings.drain_seconds)
        await self._definition.stop()
        _logger.info("stopped")


def run_service(
    build: Callable[[], ServiceDefinition | Awaitable[ServiceDefinition]],
    settings: ServiceSettings,
    name: str,
) -> None:
    """Run a service until SIGTERM or SIGINT, then drain. Exits with status 1 when it cannot start, and says why in one
    line.
    """
    configure_logs(name, settings)

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        built = build()
        server = ServiceServer(built if isinstance(built, ServiceDefinition) else await built, settings)
        await server.start()
        await stopping.wait()
        _logger.info("draining", seconds=settings.drain_seconds)
        await server.stop()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except CannotStart as error:
        sys.exit(f"marquee {name}: {error}")
