"""What was last read from the store, for the moments when the store cannot be read."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from services.orchestrator.store.records import BundlePointer, RecommendationState, Route

_MOST_USERS = 10_000
_LONGEST_SECONDS = 900.0
_MOST_EVENTS = 1_000_000
"""Events of histories and seen items that are remembered in all: tens of megabytes."""


class KnownStates:
    """Remembers the newest state of each tenant, and of the users who asked within the last quarter of an hour.

    Args:
        most_users: users that are remembered; the one that asked longest ago goes first.
        most_events: events of their histories and seen items in all.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        most_users: int = _MOST_USERS,
        most_events: int = _MOST_EVENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._most_users = most_users
        self._most_events = most_events
        self._events = 0
        self._users: OrderedDict[tuple[str, str], tuple[float, RecommendationState]] = OrderedDict()
        self._tenants: dict[str, tuple[int, BundlePointer, Route | None]] = {}

    def remember(self, tenant: str, user_id: str, state: RecommendationState) -> None:
        """Keep what was read."""
        self._tenants[tenant] = (state.catalog_sequence, state.bundle, state.route)
        self._forget((tenant, user_id))
        self._users[tenant, user_id] = self._clock(), state
        self._events += _size(state)
        while len(self._users) > self._most_users or self._events > self._most_events:
            self._forget(next(iter(self._users)))

    def recall(self, tenant: str, user_id: str) -> RecommendationState | None:
        """Return the last known state, with an empty history for a user that nothing is known of; None for a tenant
        that nobody asked for since the start.
        """
        known = self._tenants.get(tenant)
        if known is None:
            return None
        sequence, bundle, route = known
        read, user = self._users.get((tenant, user_id), (0.0, None))
        if user is None or self._clock() - read > _LONGEST_SECONDS:
            return RecommendationState([], frozenset(), 0, sequence, bundle, route)
        return RecommendationState(
            user.history, user.seen_item_ids, user.event_count, sequence, bundle, route, user.settings
        )

    def erase(self, tenant: str, user_id: str) -> None:
        """Forget a user."""
        self._forget((tenant, user_id))

    def _forget(self, key: tuple[str, str]) -> None:
        remembered = self._users.pop(key, None)
        if remembered is not None:
            self._events -= _size(remembered[1])


def _size(state: RecommendationState) -> int:
    return len(state.history) + len(state.seen_item_ids) + 1
