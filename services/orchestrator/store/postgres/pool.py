"""A bounded number of connections, lent one call at a time with a bounded wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from services.orchestrator.store.postgres.connections import Connection, Server, failure
from services.orchestrator.store.postgres.failures import busy, closed, connection_lost

Result = TypeVar("Result")
Work = Callable[[Connection], Awaitable[Result]]

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that a statement may raise through the driver."""
_CLEAN_SECONDS = 2.0
_TRUSTED_SECONDS = 20.0
_CHECK_SECONDS = 0.5
_CLOSE_SECONDS = 5.0


class ConnectionPool:
    """Lends connections. Unlike the driver's own pool it sends nothing between two loans: statements of this
    store leave no session state behind.

    Args:
        server: opens connections.
        size: connections at most.
        wait_seconds: longest wait for a connection, be it a free one or a new one.
    """

    def __init__(self, server: Server, size: int, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        self._server = server
        self._size = size
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []
        self._cleaning: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def connection(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection for the time of the block; `fresh` opens a new one and forgets those that idle.

        Raises:
            ServiceError: STORE_BUSY when all stayed in use, STORE_UNREACHABLE when the database did.
        """
        if self._closed:
            raise closed()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.wait_seconds
        try:
            async with asyncio.timeout_at(end):
                await self._free.acquire()
        except TimeoutError as error:
            raise busy() from error
        try:
            connection = await self._take(fresh, end - loop.time())
        except BaseException:
            self._free.release()
            raise
        try:
            yield connection
        except BaseException as error:
            self._give_back(connection, broken=connection_lost(error), dirty=True)
            raise
        self._give_back(connection, broken=False, dirty=connection.is_in_transaction())

    async def run(self, work: Work[Result]) -> Result:
        """Run a read; once more on a fresh connection when the first one is lost.

        Raises:
            ServiceError: the database cannot be read, or the store is closed.
        """
        try:
            async with self.connection() as connection:
                return await work(connection)
        except DRIVER_ERRORS as error:
            # One that took all its time has had it.
            if not connection_lost(error) or isinstance(error, TimeoutError):
                raise failure(error, "a read") from error
        try:
            async with self.connection(fresh=True) as connection:
                return await work(connection)
        except DRIVER_ERRORS as error:
            raise failure(error, "a read") from error

    async def close(self) -> None:
        """Wait for what is lent out, then close all connections; those that do not end are cut."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                for _ in range(self._size):
                    await self._free.acquire()
        except TimeoutError:
            pass  # what still runs is cut when its caller gives the connection back
        while self._idle:
            await _close(self._idle.pop()[0])
        for task in list(self._cleaning):
            task.cancel()

    async def _take(self, fresh: bool, seconds: float) -> Connection:
        while self._idle:
            connection, since = self._idle.pop()
            works = False
            try:
                works = not fresh and await _works(connection, since)
            finally:
                if not works:
                    connection.terminate()
            if works:
                return connection
        connection = await self._server.connect(seconds)
        if self._closed:
            connection.terminate()
            raise closed()
        return connection

    def _give_back(self, connection: Connection, *, broken: bool, dirty: bool) -> None:
        if broken or self._closed or connection.is_closed():
            connection.terminate()
            self._free.release()
        elif dirty:
            # Rolling back, or waiting until a cancelled statement has ended, is nobody's time.
            task = asyncio.create_task(self._clean(connection))
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)
        else:
            self._keep(connection)
            self._free.release()

    def _keep(self, connection: Connection) -> None:
        self._idle.append((connection, asyncio.get_running_loop().time()))

    async def _clean(self, connection: Connection) -> None:
        try:
            await connection.execute("ROLLBACK", timeout=_CLEAN_SECONDS)
            if not self._closed:
                self._keep(connection)
                connection = None
        except DRIVER_ERRORS:
            pass  # it is not used again
        finally:
            if connection is not None:
                connection.terminate()
            self._free.release()


async def _works(connection: Connection, since: float) -> bool:
    """Ask a connection that idled for long: a network may have forgotten it without telling anyone."""
    if connection.is_closed():
        return False
    if asyncio.get_running_loop().time() - since < _TRUSTED_SECONDS:
        return True
    try:
        await connection.execute("SELECT 1", timeout=_CHECK_SECONDS)
    except DRIVER_ERRORS:
        return False
    return True


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=_CLEAN_SECONDS)
    except DRIVER_ERRORS:
        connection.terminate()
