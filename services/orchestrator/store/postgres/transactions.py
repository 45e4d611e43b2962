"""Runs writes, each in one transaction, through broken connections and restarts of the server."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.orchestrator.store.postgres.connections import Connection, failure
from services.orchestrator.store.postgres.counters import NOW
from services.orchestrator.store.postgres.failures import connection_lost, outcome_unknown
from services.orchestrator.store.postgres.pool import DRIVER_ERRORS, ConnectionPool, Work
from services.runtime.errors import ServiceError

Result = TypeVar("Result")

# Waits for a transaction that still holds the same mark; returns nothing when that one was committed.
_SET_MARK = f"""
INSERT INTO commit_marks AS old (mark, number, change_time) VALUES ($1, $2, {NOW})
ON CONFLICT (mark) DO UPDATE SET number = excluded.number, change_time = excluded.change_time
WHERE old.number < excluded.number
RETURNING true
"""  # noqa: S608  # constants only


@dataclass
class _Mark:
    """A row that belongs to one write at a time; the write leaves its number there when it is committed."""

    name: bytes = field(default_factory=lambda: os.urandom(16))
    number: int = 0


@dataclass
class _Attempts:
    """What became of the attempts at one write: whether a commit was sent without an answer, and its result."""

    unanswered: bool = False
    result: Any = None


class Transactions:
    """Runs work in transactions on connections of a pool.

    Work may run more than once: a connection that breaks before the commit has written nothing, and the work runs again
    on another one until the pool's wait is over. When it breaks during the commit, the next attempt first looks for the
    mark that the transaction left; so neither is a write repeated nor its answer lost. (The server's own account of
    transactions does not serve: after a crash it may give out the same number again.)

    Attributes:
        commit_count: transactions that were committed.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._free: list[_Mark] = []
        self.commit_count = 0

    async def run(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction and return its result once that is on disk.

        Raises:
            ServiceError: nothing was written, except that STORE_UNREACHABLE may say that this is unknown; or what
                `work` raised.
        """
        mark = self._free.pop() if self._free else _Mark()
        mark.number += 1
        attempts = _Attempts()
        try:
            return await self._run(work, mark, attempts)
        except ServiceError as error:
            if attempts.unanswered:
                raise outcome_unknown() from error
            raise
        finally:
            self._free.append(mark)

    async def _run(self, work: Work[Result], mark: _Mark, attempts: _Attempts) -> Result:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._pool.wait_seconds
        fresh = False
        while True:
            try:
                async with self._pool.connection(fresh=fresh) as connection:
                    return await self._once(connection, work, mark, attempts)
            except DRIVER_ERRORS as error:
                again = connection_lost(error) and (attempts.unanswered or not isinstance(error, TimeoutError))
                if not again or loop.time() > end:
                    raise failure(error, "a write") from error
            fresh = True

    async def _once(self, connection: Connection, work: Work[Result], mark: _Mark, attempts: _Attempts) -> Result:
        await connection.execute("BEGIN")
        if not await connection.fetchval(_SET_MARK, mark.name, mark.number):
            await connection.execute("ROLLBACK")
            result: Result = attempts.result
            attempts.unanswered = False
            return result
        attempts.unanswered = False  # the attempt before this one was rolled back
        result = await work(connection)
        try:
            await connection.execute("COMMIT")
        except DRIVER_ERRORS as error:
            if connection_lost(error):
                attempts.unanswered, attempts.result = True, result
            raise
        self.commit_count += 1
        return result
