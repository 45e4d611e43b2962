"""A few threads that read, each with a connection of its own; readers never wait for the writer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.orchestrator.store.sqlite.failures import closed, store_error
from services.runtime.logs import get_logger

Result = TypeVar("Result")
_logger = get_logger(__name__)


class ReaderPool:
    """Runs reads on `size` threads.

    Args:
        connect: opens a connection; called at most once a thread.
        size: reads at the same time.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], size: int) -> None:
        self._connect = connect
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._closed = False

    async def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` on a reader thread.

        Raises:
            ServiceError: the store cannot be read, or is closed.
        """
        if self._closed:
            raise closed()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
                self._connections.append(connection)
            return work(connection)
        except sqlite3.Error as error:
            _logger.warning("read failed", error=str(error), code=getattr(error, "sqlite_errorname", None))
            raise store_error(error) from error

    def close(self) -> None:
        """Let running reads finish and close the connections."""
        self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        for connection in self._connections:
            connection.close()
