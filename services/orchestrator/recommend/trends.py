"""What many take these days: event counts that fade, kept up from the newest stored events."""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.orchestrator.store import Store
from services.orchestrator.store.records import EventRecord
from services.runtime.errors import ServiceError
from services.runtime.logs import get_logger

_logger = get_logger(__name__)
_FIRST_LOOK = 50_000
_PAGE = 5_000
_LEADERS = 2_000
"""Items that a filter may leave some of; behind these, nothing is a trend."""
_SHORTEST_PAUSE_SECONDS = 5.0
_MICROSECONDS_A_DAY = 86_400e6


@dataclass
class _Trend:
    """A tenant's sums; each is worth its value times 2^(−exponent of now), so that nothing has to be aged.

    Attributes:
        sums: by item id, positive weights times 2^((event time − landmark) / half-life).
        leaders: items with the largest sums, and these, largest first.
        landmark: microseconds since 1970.
        sequence: newest event that is in.
    """

    sums: dict[str, float] = field(default_factory=dict)
    leaders: list[tuple[str, float]] = field(default_factory=list)
    landmark: int = 0
    sequence: int = -1
    looked: float = -math.inf
    task: asyncio.Task[None] | None = None


class Trends:
    """Fading event counts of each tenant, by forward decay: G. Cormode et al., "Forward Decay: A Practical Time Decay
    Model for Streaming Systems", ICDE 2009. A weight is fixed when the event comes in, relative to a landmark; ratios
    between items stay what they are as time goes by.

    Nobody waits for it: the first call of a tenant begins to read, and answers that nothing is known yet.

    Args:
        store: where the events are.
        half_life_days: after so long an event counts half.
        clock: monotonic seconds.
    """

    def __init__(self, store: Store, half_life_days: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._half_life = half_life_days * _MICROSECONDS_A_DAY
        self._clock = clock
        self._tenants: dict[str, _Trend] = {}

    def leaders(self, tenant: str) -> Sequence[tuple[str, float]]:
        """Return what trends most, with sums on a scale of their own, largest first; empty while nothing is known."""
        trend = self._tenants.setdefault(tenant, _Trend())
        idle = trend.task is None or trend.task.done()
        if idle and self._clock() - trend.looked > _SHORTEST_PAUSE_SECONDS:
            trend.looked = self._clock()
            trend.task = asyncio.create_task(self._look(tenant, trend), name=f"trends of {tenant}")
        return trend.leaders

    async def settle(self, tenant: str) -> None:
        """Wait for a look that is under way; for tests."""
        task = self._tenants[tenant].task
        if task is not None:
            await task

    async def close(self) -> None:
        """Stop looking."""
        tasks = [trend.task for trend in self._tenants.values() if trend.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, tenant: str, trend: _Trend) -> None:
        try:
            after = trend.sequence
            if after < 0:
                after = max(0, (await self._store.event_totals(tenant)).maximum_sequence - _FIRST_LOOK)
            async for page in self._store.export_events(tenant, after_sequence=after, page_size=_PAGE):
                for event in page:
                    self._count(trend, event)
                trend.sequence = page[-1].sequence
                # Ties in the order of the ids, so that replicas agree.
                trend.leaders = heapq.nsmallest(_LEADERS, trend.sums.items(), key=lambda pair: (-pair[1], pair[0]))
            trend.sequence = max(trend.sequence, after)
        except ServiceError as error:
            _logger.warning("cannot read what trends", tenant=tenant, reason=error.reason)

    def _count(self, trend: _Trend, event: EventRecord) -> None:
        if event.weight <= 0:
            return
        if not trend.sums:
            trend.landmark = event.event_time
        exponent = (event.event_time - trend.landmark) / self._half_life
        # A landmark of long ago would let the sums overflow; moving it keeps all ratios.
        if exponent > 500:
            factor = 2.0 ** max(-1_000.0, -exponent)
            trend.sums = {item_id: value * factor for item_id, value in trend.sums.items() if value * factor > 0}
            trend.landmark, exponent = event.event_time, 0.0
        trend.sums[event.item_id] = trend.sums.get(event.item_id, 0.0) + event.weight * 2.0 ** max(-1_000.0, exponent)
