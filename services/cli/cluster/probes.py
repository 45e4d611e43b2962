"""Calls that compare the two arms of a route without touching any real user."""

from __future__ import annotations

import random
import time
from itertools import islice

from marquee_client import MarqueeClient, MarqueeError
from services.cli.cluster.verdict import Arm

SURFACE = "canary-probe"
"""Where the probes' lists are "shown": it tells them from real ones in the report of the arms."""
_ITEMS = 500
_SESSION = 5
_SECONDS = 5.0


class Probes:
    """Asks both arms for the same list, one right after the other, and notes how they did.

    The users do not exist; what they like is a session of items of the catalogue, which every scorer takes like a
    history. So no real user's lists, seen items or click-through change.

    Args:
        client: the orchestrator.
        arms: both arms by their names on the route.
        seed: of the sessions and of which arm comes first.
    """

    def __init__(self, client: MarqueeClient, arms: dict[str, Arm], seed: int = 0) -> None:
        self._client = client
        self._arms = arms
        self._random = random.Random(seed)  # noqa: S311 - samples, no secrets
        self._items = [item.item_id for item in islice(client.list_items(page_size=_ITEMS), _ITEMS)]
        self.count = 0

    def ask(self) -> None:
        """Ask both arms once."""
        self.count += 1
        session = self._random.sample(self._items, min(_SESSION, len(self._items)))
        names = list(self._arms)
        self._random.shuffle(names)  # whichever comes second finds warm caches
        for name in names:
            arm = self._arms[name]
            start = time.perf_counter()
            try:
                answer = self._client.recommend(
                    f"canary-probe-{self.count}",
                    timeout=_SECONDS,
                    arm=name,
                    surface=SURFACE,
                    session_item_ids=session,
                    seed=self.count,
                )
            except MarqueeError:
                arm.failures += 1
                arm.seconds.append(0.0)
                continue
            arm.seconds.append(time.perf_counter() - start)
            arm.degraded += answer.degraded
