"""What a user has looked at in this session and nobody has stored yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_VIEW
from services.orchestrator.store.records import RecommendationState, UserEvent

_WEIGHT = 1.0
_SEQUENCE = 0
"""Before every stored event, so that the later pages of a list count the session as its first page did."""


def with_session(state: RecommendationState, item_ids: Sequence[str]) -> RecommendationState:
    """Return the state with the session's items as the newest events, oldest first."""
    if not item_ids:
        return state
    now = time.time_ns() // 1_000
    looked = [UserEvent(item_id, _WEIGHT, EVENT_KIND_VIEW, now, _SEQUENCE) for item_id in item_ids]
    return replace(state, history=[*state.history, *looked], seen_item_ids=state.seen_item_ids | frozenset(item_ids))
