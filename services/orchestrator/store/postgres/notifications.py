"""Listens on a connection of its own for changes of catalogues; a hint only, so what is missed while it reconnects is
missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.orchestrator.store.postgres.connections import Connection, Server
from services.orchestrator.store.postgres.counters import CATALOG_CHANNEL
from services.orchestrator.store.postgres.pool import DRIVER_ERRORS
from services.runtime.errors import ServiceError

_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_CHECK_SECONDS = 15.0


class CatalogListener:
    """Calls back with the tenant whose catalogue changed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._callbacks: list[Callable[[str], None]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, on_change: Callable[[str], None]) -> None:
        """Have `on_change` called from now on; the first one starts the listening."""
        self._callbacks.append(on_change)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                connection = await self._server.connect(_CONNECT_SECONDS)
                try:
                    await self._follow(connection)
                finally:
                    connection.terminate()
            except (ServiceError, *DRIVER_ERRORS):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self, connection: Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CATALOG_CHANNEL, self._on_notification)
        while not lost.is_set():
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await lost.wait()
            except TimeoutError:
                await connection.execute("SELECT 1")  # a server that vanished says nothing by itself

    def _on_notification(self, connection: Connection, process: int, channel: str, tenant: str) -> None:
        del connection, process, channel
        for callback in self._callbacks:
            callback(tenant)
