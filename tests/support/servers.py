"""Real servers inside the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ServiceSettings


@dataclass(frozen=True)
class RunningServer:
    """A started server and a channel to it."""

    server: ServiceServer
    channel: grpc.aio.Channel
    address: str


@asynccontextmanager
async def running(
    definition: ServiceDefinition,
    settings: ServiceSettings,
    channel_options: Sequence[tuple[str, object]] = (),
) -> AsyncIterator[RunningServer]:
    """Start the service on a free port of this machine, and stop it at the end of the block."""
    server = ServiceServer(definition, settings)
    await server.start()
    address = f"127.0.0.1:{server.port}"
    # Channels of one process share connections unless told not to; a test must meet its own server only.
    options = (("grpc.use_local_subchannel_pool", 1), *channel_options)
    try:
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            yield RunningServer(server, channel, address)
    finally:
        await server.stop()
