"""One batch of one request on its way through an engine, and the request it belongs to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from services.runtime.batching.lane import Lane
from services.runtime.errors import DeadlinePassed
from services.runtime.pipeline import Pipeline, Prepared, Size
from services.runtime.request_context import Priority

OutputT = TypeVar("OutputT")
AnyPipeline = Pipeline[Any, Any, Any, Any]
UNSHARED = Size()


class Ticket(Generic[OutputT]):
    """One request's progress: it is done when all of its batches ran. Lives on the event loop, except that engines ask
    whether it is still wanted.

    Attributes:
        outputs: outputs so far, in the order of the request's batches.
        wanted: False once the caller left, the deadline passed or one batch failed: the rest need not run.
        deadline: moment on the monotonic clock after which nobody waits.
        first_start: when its first batch began to run.
        last_end: when its last batch was done.
        compute_seconds: sum over its runs, each counted whole.
        share_seconds: the same, of shared runs only its part.
        prepare_seconds: time it was prepared on an engine.
        rows: rows of the largest run that it was part of.
        prepared: what an engine prepared of it; None when it was prepared elsewhere.
    """

    __slots__ = (
        "_future",
        "_missing",
        "compute_seconds",
        "deadline",
        "first_start",
        "lane",
        "last_end",
        "outputs",
        "prepare_seconds",
        "prepared",
        "priority",
        "rows",
        "share_seconds",
        "wanted",
    )

    def __init__(self, lane: Lane, batches: int, deadline: float | None, priority: Priority) -> None:
        self.lane = lane
        self.outputs: list[Any] = [None] * batches
        self.wanted = True
        self.deadline = deadline
        self.priority = priority
        self.first_start = 0.0
        self.last_end = 0.0
        self.compute_seconds = 0.0
        self.share_seconds = 0.0
        self.prepare_seconds = 0.0
        self.rows = 0
        self.prepared: Prepared[Any] | None = None
        self._missing = batches
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Wait until every batch ran; raises what the first failed one raised. Whoever stops waiting drops the rest."""
        try:
            await self._future
        finally:
            self.wanted = False

    def expired(self) -> bool:
        """Whether the deadline passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def grow(self, prepared: Prepared[Any]) -> None:
        """Take over what an engine prepared of the request; it has as many batches as that says."""
        self.prepared = prepared
        self._missing = len(prepared.batches)
        self.outputs = [None] * self._missing

    def deliver(self, position: int, output: OutputT, start: float, seconds: float, share: float, rows: int) -> None:
        """Accept the output of one batch."""
        self.outputs[position] = output
        self.first_start = min(start, self.first_start) if self.first_start else start
        self.last_end = max(self.last_end, start + seconds)
        self.compute_seconds += seconds
        self.share_seconds += share
        self.rows = max(rows, self.rows)
        self._missing -= 1
        if self._missing <= 0 and not self._future.done():
            self._future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End the request with an error; its other batches are dropped."""
        self.wanted = False
        if not self._future.done():
            self._future.set_exception(error)

    def drop(self) -> None:
        """Note that a batch was dropped before it ran; ends the request when that was for its deadline."""
        if self.lane.metrics is not None:
            self.lane.metrics.dropped("DEADLINE" if self.wanted else "CANCELLED")
        if self.wanted:
            self.fail(DeadlinePassed())


class Work:
    """One batch that waits for an engine, or a whole request that is to be prepared there.

    Attributes:
        key: place in the queue: priority, virtual start, arrival.
        prepare: makes the batches, for work that is prepared on an engine; `batch` is None then.
    """

    __slots__ = ("batch", "key", "pipeline", "position", "prepare", "size", "ticket")

    def __init__(
        self,
        pipeline: AnyPipeline,
        ticket: Ticket[Any],
        batch: Any,
        position: int,
        size: Size,
        prepare: Callable[[], Prepared[Any]] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.ticket = ticket
        self.batch = batch
        self.position = position
        self.size = size
        self.prepare = prepare
        self.key: tuple[int, float, int] = (0, 0.0, 0)

    def __lt__(self, other: Work) -> bool:
        return self.key < other.key
