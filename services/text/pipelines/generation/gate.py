"""Who may make a text now, who waits for it, and who is refused."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

import grpc

from services.runtime.batching.lane import Lane
from services.runtime.errors import ServiceError
from services.runtime.request_context import RequestContext

_NEWEST = 0.1
_SHORTEST_RETRY = 0.01


class SlotGate:
    """A fixed number of slots, and a bounded queue in front of them: by priority, then by arrival. Lives on the event
    loop.

    Args:
        slots: texts in the making at the same time.
        maximum_waiting: calls that may wait for a slot.
    """

    def __init__(self, slots: int, maximum_waiting: int) -> None:
        self._free = slots
        self._slots = slots
        self._maximum_waiting = maximum_waiting
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = count()
        self._slot_seconds = 0.0

    @property
    def free(self) -> int:
        """Number of free slots."""
        return self._free

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a slot."""
        return sum(1 for _, _, future in self._waiting if not future.done())

    async def enter(self, call: RequestContext, lane: Lane) -> None:
        """Wait for a slot; whoever got one gives it back with `leave`.

        Raises:
            ServiceError: RESOURCE_EXHAUSTED when too many wait already, or when the wait would be longer than the
                caller's deadline.
        """
        if self._free:
            self._free -= 1
            return
        waiting = self.waiting
        wait = self._slot_seconds * (waiting + 1) / self._slots
        remaining = call.remaining_seconds()
        if waiting >= self._maximum_waiting:
            raise self._refusal(lane, "QUEUE_FULL", wait, f"{waiting:,} calls wait for one of {self._slots} slots")
        if remaining is not None and wait > remaining:
            cause = f"the deadline is {max(0.0, remaining):.1f} s away"
            raise self._refusal(lane, "CANNOT_FINISH_IN_TIME", wait, cause)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (call.priority, next(self._arrivals), future))
        try:
            await future
        except asyncio.CancelledError:
            if lane.metrics is not None:
                lane.metrics.dropped("DEADLINE" if (call.remaining_seconds() or 1) <= 0 else "CANCELLED")
            if future.done() and not future.cancelled():
                self._hand_on()
            raise

    def leave(self, seconds: float) -> None:
        """Give a slot back that was held for `seconds`; the first who waits gets it at once."""
        newest = _NEWEST if self._slot_seconds else 1.0
        self._slot_seconds += newest * (seconds - self._slot_seconds)
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                return
        self._free += 1

    def _refusal(self, lane: Lane, reason: str, wait: float, cause: str) -> ServiceError:
        if lane.metrics is not None:
            lane.metrics.refused(reason)
        return ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            reason,
            f"{cause}: a slot would be free in about {wait:.1f} s; try again later, elsewhere, or with a longer "
            "deadline",
            metadata={"model": lane.identity.name, "wait_milliseconds": f"{wait * 1000:.0f}"},
            retry_after_seconds=max(wait, _SHORTEST_RETRY),
            quota=("generation slots", cause),
        )
