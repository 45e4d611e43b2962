"""Work that several callers wait for: done once, and not given up when one of them leaves."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar

from services.runtime.errors import DeadlinePassed, Unavailable
from services.runtime.request_context import current_request

ResultT = TypeVar("ResultT")


class SharedOperations:
    """The operations that are running, by what they do."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def share(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Return the result of the running operation of that key, started here when there is none.

        Raises:
            DeadlinePassed: the caller's deadline passed first; the operation goes on.
            Unavailable: the service shuts down.
        """
        task: asyncio.Task[ResultT] | None = self._running.get(key)
        if task is None or task.done():
            # A context of its own: the first caller's deadline and request id are not the operation's.
            task = asyncio.create_task(work(), context=contextvars.Context())
            self._running[key] = task
            task.add_done_callback(partial(self._finished, key))
        done, _ = await asyncio.wait({task}, timeout=current_request().remaining_seconds())
        if not done:
            raise DeadlinePassed("the caller's deadline passed while the model was loaded; the load goes on")
        if task.cancelled():
            raise shutting_down()
        return task.result()

    async def close(self) -> None:
        """Cancel what is running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # seen, in case all who waited for it have left


def shutting_down() -> Unavailable:
    """Return the error for work that the end of the process cuts short."""
    return Unavailable("SHUTTING_DOWN", "the service is shutting down; call another replica")
