"""Keeps the newest snapshot of each tenant's catalogue and makes a new one when the catalogue has changed."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from services.orchestrator.catalog.snapshot import CatalogSnapshot, build_snapshot
from services.orchestrator.catalog.snapshot_changes import apply_changes
from services.orchestrator.store.protocol import Store
from services.orchestrator.store.records import ItemRecord
from services.runtime.logs import get_logger

Result = TypeVar("Result")

_PAGE_SIZE = 2_000
_MOST_CHANGES = 5_000
_PAUSES_FOR_READING = 200.0
_MOST_INTERVALS = 60.0
"""A store that was slow once must not leave popularity old for hours."""
_logger = get_logger(__name__)


@dataclass(slots=True)
class _Held:
    snapshot: CatalogSnapshot
    statistics_time: float
    statistics_seconds: float = 0.0


class CatalogSnapshots:
    """Snapshots by tenant.

    Args:
        store: where the catalogue is.
        statistics_interval_seconds: how old popularity may get before it is read again, in the background; where
            reading would take more than a two-hundredth of the time, up to sixty times as old.
        maximum_tenants: snapshots kept; the one that was used least recently goes first.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        statistics_interval_seconds: float = 5.0,
        maximum_tenants: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._statistics_interval_seconds = statistics_interval_seconds
        self._maximum_tenants = maximum_tenants
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._builds: dict[str, asyncio.Task[_Held]] = {}
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        store.watch_catalog(self._hint)

    async def get(self, tenant: str, sequence: int) -> CatalogSnapshot:
        """Return a snapshot that knows every change up to `sequence`, which the catalogue must have reached.

        Callers that come while one is being made wait for the same one; it is finished even if they all
        leave.

        Raises:
            ServiceError: the store cannot be read.
        """
        held = self._held.get(tenant)
        # A snapshot that was begun before the change may end without it; one begun now has it.
        for _ in range(2):
            if held is not None and held.snapshot.sequence >= sequence:
                break
            build = self._builds.get(tenant) or self._start(self._builds, tenant, self._build(tenant))
            held = await asyncio.shield(build)
        assert held is not None
        if tenant in self._held:
            self._held.move_to_end(tenant)
        if self._clock() - held.statistics_time > self._interval(held) and tenant not in self._refreshes:
            self._start(self._refreshes, tenant, self._refresh(tenant))
        return held.snapshot

    def _interval(self, held: _Held) -> float:
        """Seconds until popularity is read again."""
        shortest = self._statistics_interval_seconds
        return min(max(shortest, _PAUSES_FOR_READING * held.statistics_seconds), _MOST_INTERVALS * shortest)

    def current(self, tenant: str) -> CatalogSnapshot | None:
        """Return the snapshot at hand, however old, without waiting; None when there is none."""
        held = self._held.get(tenant)
        return held.snapshot if held else None

    async def close(self) -> None:
        """Stop what runs in the background."""
        self._closed = True
        tasks = [*self._builds.values(), *self._refreshes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, tenant: str) -> _Held:
        start = time.monotonic()
        held = self._held.get(tenant)
        changed = await self._changed(tenant, held) if held is not None else None
        way = "whole" if changed is None else "changes"
        built = changed or await self._whole(tenant)
        self._held[tenant] = built
        while len(self._held) > self._maximum_tenants:
            self._held.popitem(last=False)
        milliseconds = round((time.monotonic() - start) * 1000, 1)
        _logger.debug(
            "catalogue snapshot",
            tenant=tenant,
            sequence=built.snapshot.sequence,
            items=len(built.snapshot),
            read=way,
            milliseconds=milliseconds,
        )
        return built

    async def _changed(self, tenant: str, held: _Held) -> _Held | None:
        """Take what changed into the snapshot at hand; None when the whole catalogue must be read."""
        changes = await self._store.item_changes(tenant, held.snapshot.sequence, _MOST_CHANGES)
        if changes is None:
            return None
        try:
            snapshot = await asyncio.to_thread(apply_changes, held.snapshot, changes)
        except Exception:
            # A list must not wait for somebody to find out why: reading everything is always right.
            _logger.exception("changes of the catalogue could not be taken in; all of it is read", tenant=tenant)
            return None
        return None if snapshot is None else _Held(snapshot, held.statistics_time, held.statistics_seconds)

    async def _whole(self, tenant: str) -> _Held:
        # Read before the items: a change that comes in between is in the snapshot early, never missing.
        sequence = (await self._store.catalog_state(tenant)).sequence
        items: list[ItemRecord] = []
        async for page in self._store.all_items(tenant, page_size=_PAGE_SIZE):
            items.extend(page)
        statistics_time = self._clock()
        statistics = await self._store.item_statistics(tenant)
        reading = self._clock() - statistics_time
        return _Held(await asyncio.to_thread(build_snapshot, sequence, items, statistics), statistics_time, reading)

    def _hint(self, tenant: str) -> None:
        """Take in a change soon after it was made, so that the next list need not wait for it."""
        if tenant in self._held and tenant not in self._builds and not self._closed:
            self._start(self._builds, tenant, self._build(tenant))

    async def _refresh(self, tenant: str) -> None:
        statistics_time = self._clock()
        statistics = await self._store.item_statistics(tenant)
        held = self._held.get(tenant)
        if held is not None:
            snapshot = await asyncio.to_thread(held.snapshot.with_statistics, statistics)
            if self._held.get(tenant) is held:  # a snapshot made meanwhile read its own
                self._held[tenant] = _Held(snapshot, statistics_time, self._clock() - statistics_time)

    def _start(
        self, running: dict[str, asyncio.Task[Result]], tenant: str, work: Coroutine[object, object, Result]
    ) -> asyncio.Task[Result]:
        task: asyncio.Task[Result] = asyncio.create_task(work)
        running[tenant] = task

        def ended(finished: asyncio.Task[Result]) -> None:
            del running[tenant]
            if not finished.cancelled() and (error := finished.exception()) is not None:
                _logger.warning("reading the catalogue failed", tenant=tenant, error=str(error))

        task.add_done_callback(ended)
        return task
