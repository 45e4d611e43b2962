"""Deletes in the background what has outlived its time."""

from __future__ import annotations

import asyncio
import contextlib

from services.orchestrator.store import Store
from services.orchestrator.store.records import Retention
from services.runtime.errors import ServiceError
from services.runtime.logs import get_logger

_logger = get_logger(__name__)
DAY = 86_400_000_000
"""Microseconds."""
_DELETIONS = DAY
_PAUSE_SECONDS = 0.05


class StoreMaintenance:
    """Calls `Store.maintain` from time to time, and again at once while it has more to do.

    Args:
        store: what is maintained.
        event_days: how long events are kept; 0 keeps them for ever.
        deduplication_days: window of exactly once.
        seconds: time between two looks.
    """

    def __init__(self, store: Store, event_days: float, deduplication_days: float, seconds: float) -> None:
        self._store = store
        self._retention = Retention(
            events=int(event_days * DAY) or None,
            deduplication=int(deduplication_days * DAY),
            deletions=_DELETIONS,
        )
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the background task on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="store-maintenance")

    async def stop(self) -> None:
        """Stop the background task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            pause = self._seconds
            try:
                done = await self._store.maintain(self._retention)
                if done.events or done.receipts or done.slates:
                    _logger.info("outlived", events=done.events, receipts=done.receipts, lists=done.slates)
                if done.unfinished:
                    pause = _PAUSE_SECONDS  # between two pieces others write
            except ServiceError as error:
                _logger.warning("maintenance failed", reason=error.reason, message=str(error))
            except Exception:
                _logger.exception("maintenance failed; the next one follows")
            await asyncio.sleep(pause)
