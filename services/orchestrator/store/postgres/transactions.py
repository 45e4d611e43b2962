"""Runs writes, each in one transaction, through broken connections and restarts of the server."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from services.orchestrator.store.postgres.connections import Connection, failure
from services.orchestrator.store.postgres.failures import connection_lost, outcome_unknown
from services.orchestrator.store.postgres.pool import DRIVER_ERRORS, ConnectionPool, Work

Result = TypeVar("Result")

_PAUSE_SECONDS = 0.05


class _CommitUnanswered(Exception):
    """The connection broke between sending COMMIT and its answer.

    Attributes:
        transaction: the number that the server knows the transaction by.
        result: what the work returned.
    """

    def __init__(self, transaction: str, result: object) -> None:
        self.transaction = transaction
        self.result = result


class Transactions:
    """Runs work in transactions on connections of a pool.

    Work may run more than once: a connection that breaks before the commit has written nothing, and the work runs again
    on another one until the pool's wait is over. When it breaks during the commit, the server is asked by the number of
    the transaction whether it was committed, so that neither a write is repeated nor its answer lost.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self.commit_count = 0

    async def run(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction and return its result once that is on disk.

        Raises:
            ServiceError: nothing was written, except that STORE_UNREACHABLE may say that this is unknown; or what
                `work` raised.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._pool.wait_seconds
        again = False
        while True:
            try:
                result = await self._once(work, fresh=again)
            except _CommitUnanswered as broken:
                if await self._committed(broken.transaction):
                    result = broken.result  # type: ignore[assignment]  # what this work returned before the commit
                else:
                    again = True
                    continue
            except DRIVER_ERRORS as error:
                if not connection_lost(error) or isinstance(error, TimeoutError) or loop.time() > end:
                    raise failure(error, "a write") from error
                again = True
                continue
            self.commit_count += 1
            return result

    async def _once(self, work: Work[Result], *, fresh: bool) -> Result:
        async with self._pool.connection(fresh=fresh) as connection:
            await connection.execute("BEGIN")
            transaction: str = await connection.fetchval("SELECT pg_current_xact_id()::text")
            result = await work(connection)
            try:
                await connection.execute("COMMIT")
            except DRIVER_ERRORS as error:
                if connection_lost(error):
                    connection.terminate()
                    raise _CommitUnanswered(transaction, result) from error
                raise
            return result

    async def _committed(self, transaction: str) -> bool:
        """Ask what became of a transaction whose commit was sent.

        Raises:
            ServiceError: the server cannot be asked, or does not know (any more).
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._pool.wait_seconds
        while True:
            try:
                async with self._pool.connection(fresh=True) as connection:
                    status = await _status(connection, transaction)
            except DRIVER_ERRORS as error:
                if not connection_lost(error) or loop.time() > end:
                    failure(error, "a question for a commit")
                    raise outcome_unknown() from error
                status = "in progress"
            if status in ("committed", "aborted"):
                return status == "committed"
            if status is None or loop.time() > end:
                raise outcome_unknown()
            await asyncio.sleep(_PAUSE_SECONDS)


async def _status(connection: Connection, transaction: str) -> str | None:
    status: str | None = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", transaction)
    return status
