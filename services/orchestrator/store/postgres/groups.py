"""Group commit: writes with the same key that arrive while one is on its way share the next transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import grpc

from services.orchestrator.store.postgres.failures import closed, overloaded
from services.runtime.errors import ServiceError

Write = TypeVar("Write")
Result = TypeVar("Result")

_MAXIMUM_WAITING = 1_000
_MAXIMUM_GROUP = 5_000


class _Job(Generic[Write]):
    def __init__(self, write: Write, size: int) -> None:
        self.write = write
        self.size = size
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class GroupCommit(Generic[Write, Result]):
    """Collects writes while the one before them waits for the disk.

    One transaction a key at a time: the writes of a tenant would wait for each other at its row of counters
    anyway, and a transaction that takes the lock of one tenant only can be part of no deadlock.

    Args:
        commit: writes a group in one transaction, all or none; returns a result for each write.

    Attributes:
        write_count: writes that were acknowledged or refused.
        group_count: groups that were committed for them.
    """

    def __init__(self, commit: Callable[[str, Sequence[Write]], Awaitable[Sequence[Result]]]) -> None:
        self._commit = commit
        self._waiting: dict[str, deque[_Job[Write]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._closing = False
        self.write_count = 0
        self.group_count = 0

    async def write(self, key: str, write: Write, size: int = 1) -> Result:
        """Write and return the result once it is on disk.

        Args:
            key: writes with the same key share transactions.
            write: what to write.
            size: how much it is; a group is full at some thousands.

        Raises:
            ServiceError: nothing was written.
        """
        if self._closing:
            raise closed()
        if self._count >= _MAXIMUM_WAITING:
            raise overloaded()
        job = _Job(write, size)
        self._count += 1
        if key in self._waiting:
            self._waiting[key].append(job)
        else:
            self._waiting[key] = deque([job])
            task = asyncio.create_task(self._serve(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        result: Result = await job.future
        return result

    async def close(self) -> None:
        """Finish what waits; further writes fail."""
        self._closing = True
        await asyncio.gather(*self._tasks)

    async def _serve(self, key: str) -> None:
        waiting = self._waiting[key]
        # Callers of one moment start one after the other; a turn of the event loop lets them share the transaction.
        await asyncio.sleep(0)
        while waiting:
            group: list[_Job[Write]] = []
            size = 0
            while waiting and (not group or size + waiting[0].size <= _MAXIMUM_GROUP):
                job = waiting.popleft()
                size += job.size
                self._count -= 1
                if not job.future.done():  # one whose caller left before costs nothing
                    group.append(job)
            if group:
                await self._write(key, group)
        del self._waiting[key]

    async def _write(self, key: str, group: list[_Job[Write]]) -> None:
        try:
            results = await self._commit(key, [job.write for job in group])
        except Exception as error:
            if len(group) > 1 and _may_be_one_of_them(error):
                for job in group:
                    await self._write(key, [job])
                return
            self.write_count += len(group)
            for job in group:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        self.group_count += 1
        self.write_count += len(group)
        for job, result in zip(group, results, strict=True):
            if not job.future.done():
                job.future.set_result(result)


def _may_be_one_of_them(error: Exception) -> bool:
    """Whether each write should be tried alone; a database that is away or full refuses them all."""
    return not isinstance(error, ServiceError) or error.code == grpc.StatusCode.INTERNAL
