"""Tells streams, which may last for hours, that their service is about to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.runtime.health import Health

_MARGIN_SECONDS = 1.0


class Drain:
    """Watches for the drain of a service.

    Args:
        health: returns the service's health, which the drain begins with.
        seconds: how long calls in flight may go on then.
    """

    def __init__(self, health: Callable[[], Health], seconds: float) -> None:
        self._health = health
        self._seconds = seconds

    @property
    def is_announced(self) -> bool:
        """Whether the service drains."""
        return self._health().draining

    async def wait(self) -> None:
        """Return when a stream must end to tell its caller why, a little before it would be cut off."""
        await self._health().wait_for_drain()
        await asyncio.sleep(max(0.0, self._seconds - min(_MARGIN_SECONDS, self._seconds / 4)))
