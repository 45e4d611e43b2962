"""What happens to a version that stopped serving: the last request lets go of it, then its memory goes back."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import Executor

from services.runtime.engine import OnnxModel
from services.runtime.repository.memory import give_memory_back, releases

# How long what is unloaded may be held before reference cycles are suspected.
_CYCLES_SECONDS = 1.0
# The thread that lets go of it last is still freeing it when that is noticed.
_FREEING_SECONDS = 0.05


class Releaser:
    """Follows the graphs that were taken out of service.

    Args:
        threads: where memory is given back.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._tasks: set[asyncio.Task[None]] = set()

    def release(self, onnx: OnnxModel, released: Callable[[], None]) -> asyncio.Task[None]:
        """Call `released` when nobody holds the graph any more and its memory is back; the task ends with that. The
        caller drops its own reference after the call.
        """
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()

        def notify() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(gone.set)

        # Whoever can still run the version holds its graph.
        weakref.finalize(onnx, notify).atexit = False
        releases.begin()
        task = asyncio.create_task(self._follow(gone, released), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Stop following; what requests in flight hold goes with the process."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, gone: asyncio.Event, released: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(gone.wait(), _CYCLES_SECONDS)
        except TimeoutError:
            # Requests that ended may have left it in reference cycles. Looking for these stops the world for tens of
            # milliseconds, so only then.
            await loop.run_in_executor(self._threads, gc.collect)
            await gone.wait()
        await asyncio.sleep(_FREEING_SECONDS)
        await loop.run_in_executor(self._threads, give_memory_back)
        released()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        releases.end()
