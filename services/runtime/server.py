"""The life of a service process: listen, load, serve, drain, stop."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import grpc
import uvloop
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from services.runtime.call_handlers import CallHandlers
from services.runtime.front import open_front
from services.runtime.health import Health
from services.runtime.health_port import HealthPort
from services.runtime.logs import configure_logs, get_logger
from services.runtime.settings import ServiceSettings
from services.runtime.startup import AddressInUse, CannotStart
from services.runtime.telemetry import Telemetry
from services.runtime.tls import server_credentials

NOTICE_SECONDS = 0.2
"""Time between NOT_SERVING and the stop, for callers who watch the health to look elsewhere."""
_LONGEST_NOTICE_SECONDS = 2.0
_logger = get_logger(__name__)


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
        telemetry: what the process records; None records what the settings ask for.
        health: the process's health, for a definition that drives it itself once it has started; None leaves it to the
            server, which sets it once `start` found no problem.
    """

    name: str
    contracts: Sequence[str]
    attach: Callable[[grpc.aio.Server], None]
    start: Callable[[], Awaitable[Sequence[str]]]
    stop: Callable[[], Awaitable[None]]
    telemetry: Telemetry | None = None
    health: Health | None = None


class ServiceServer:
    """One listening service; used by `run_service` and, in tests, inside the test's own event loop.

    Args:
        definition: what to serve.
        settings: where and how.
        probes: the port for probes, if it listens already; the server stops it.
    """

    def __init__(
        self, definition: ServiceDefinition, settings: ServiceSettings, probes: HealthPort | None = None
    ) -> None:
        self._definition = definition
        self._settings = settings
        self._health = definition.health or Health(definition.contracts)
        self.telemetry = definition.telemetry or Telemetry.from_settings(settings, definition.name)
        self._handlers = CallHandlers(settings, self.telemetry.recorder)
        self.telemetry.metrics.watch_calls(lambda: self._handlers.calls_in_flight)
        self.telemetry.metrics.watch_serving(lambda: self._health.serving)
        self._server = open_front(settings)
        self._credentials = server_credentials(settings)
        self.probes = probes or HealthPort(settings)
        self.probes.show(self._health)
        self.port = 0

    async def start(self) -> None:
        """Listen, load, and become SERVING when everything required is ready. May be cancelled; `stop` cleans up.

        Raises:
            CannotStart: an address cannot be listened on, or a file of the settings cannot be used.
        """
        begin = time.monotonic()
        await self.probes.start()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._definition.attach(cast("grpc.aio.Server", self._handlers))
        self._handlers.register(self._server)
        reflection.enable_server_reflection(
            [*self._definition.contracts, "grpc.health.v1.Health", reflection.SERVICE_NAME], self._server
        )
        self.port = self._listen()
        await self.telemetry.start(self._settings)
        await self._server.start()
        tls = {"tls": "mutual" if self._settings.tls_client_ca_file else "yes"} if self._credentials else {}
        _logger.info("listening", host=self._settings.host, port=self.port, **tls)
        problems = await self._definition.start()
        if problems:
            for problem in problems:
                _logger.error("not serving", reason=problem)
            return
        if self._definition.health is None:
            self._health.set_serving(True)
        _logger.info("serving", port=self.port, seconds=round(time.monotonic() - begin, 3))

    async def stop(self) -> None:
        """Drain: tell callers to go elsewhere, let calls in flight finish within the grace period, give everything
        back.
        """
        is_watched = self._health.watches > 0
        self._health.drain()
        if is_watched:
            await self._wait_until_quiet()
        await self._server.stop(self._settings.drain_seconds)
        await self._definition.stop()
        await self.telemetry.stop()
        await self.probes.stop()
        _logger.info("stopped")

    async def _wait_until_quiet(self) -> None:
        """Wait until those who watch the health send no more calls. gRPC cancels calls that arrived and have no handler
        yet when it stops. Callers who do not watch cannot be waited for.
        """
        longest = time.monotonic() + min(_LONGEST_NOTICE_SECONDS, self._settings.drain_seconds)
        while True:
            arrived = self._handlers.calls_arrived
            await asyncio.sleep(NOTICE_SECONDS)
            if self._handlers.calls_arrived == arrived or time.monotonic() >= longest:
                return

    def _listen(self) -> int:
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise AddressInUse(f"cannot listen on {address}: the port is taken or the address is not this machine's")
        return port


def run_service(
    build: Callable[[], ServiceDefinition | Awaitable[ServiceDefinition]],
    settings: ServiceSettings,
    name: str,
) -> None:
    """Run a service until SIGTERM or SIGINT, then drain. Exits with status 1 when it cannot start, and says why in one
    line.
    """
    configure_logs(name, settings)
    # Engines and the event loop share the cores already. OpenBLAS's own threads wait for work in a loop, which took the
    # p99 of `Recommend` on two cores from 26 to 40 ms.
    threadpool_limits(1)

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        probes = HealthPort(settings)
        await probes.start()
        try:
            built = build()
            server = ServiceServer(built if isinstance(built, ServiceDefinition) else await built, settings, probes)
        except CannotStart:
            await probes.stop()
            raise
        # Who is told to stop while models are loading does not finish loading them first.
        starting, told = asyncio.create_task(server.start()), asyncio.create_task(stopping.wait())
        await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await told
        else:
            starting.cancel()
            await asyncio.wait([starting])
        _logger.info("draining", seconds=settings.drain_seconds)
        await server.stop()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except CannotStart as error:
        sys.exit(f"marquee {name}: {error}")
