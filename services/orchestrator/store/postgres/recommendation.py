# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""The read that each recommendation begins with: one statement, so one round trip and one state of the database.

A history comes back as one array a column: hundreds of rows would each cost the driver an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.orchestrator.store.packing import unpack_route
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import SEEN_EVENTS, BundlePointer, RecommendationState, UserEvent

_NEWEST = (
    "SELECT item_id, weight, kind, event_time, sequence FROM events WHERE tenant = $1 AND user_id = $2"
    " ORDER BY event_time DESC, sequence DESC LIMIT"
)
_COLUMNS = (
    "array_agg(item_id) AS item_ids, array_agg(weight) AS weights, array_agg(kind) AS kinds,"
    " array_agg(event_time) AS times, array_agg(sequence) AS sequences"
)
_HISTORY = f"SELECT {_COLUMNS} FROM ({_NEWEST} $3) AS newest"
# Each month is looked into once. What is older than the history adds to the seen items and the count only.
_STATE = f"""
WITH newest AS MATERIALIZED ({_NEWEST} $4)
SELECT item_ids, weights, kinds, times, sequences, older_items, older_count, catalog_sequence, version,
       previous_version, change_time, route, routes.update_time, settings
FROM (SELECT {_COLUMNS} FROM (SELECT * FROM newest LIMIT $3) AS newer) AS history
CROSS JOIN (
    SELECT array_agg(item_id) AS older_items, coalesce(sum(count), 0)::bigint AS older_count
    FROM (SELECT item_id, count(*) FROM (SELECT item_id FROM newest OFFSET $3) AS older GROUP BY item_id) AS different
) AS seen
LEFT JOIN tenant_counters AS counters ON counters.tenant = $1
LEFT JOIN bundle_pointers AS bundle ON bundle.tenant = $1
LEFT JOIN routes ON routes.tenant = $1 AND routes.task = 'recommend'
LEFT JOIN user_settings ON user_settings.tenant = $1 AND user_settings.user_id = $2
"""


async def history(connection: Connection, tenant: str, user_id: str, limit: int) -> list[UserEvent]:
    """Read a user's newest events, oldest first."""
    return _unpack(await connection.fetchrow(_HISTORY, tenant, user_id, limit))


async def state(connection: Connection, tenant: str, user_id: str, history_limit: int) -> RecommendationState:
    """Read all that a recommendation needs."""
    row = await connection.fetchrow(_STATE, tenant, user_id, history_limit, SEEN_EVENTS)
    older_items, older_count, catalog_sequence, version, previous, change_time, route, update_time, settings = tuple(
        row
    )[5:]
    events = _unpack(row[:5])
    return RecommendationState(
        history=events,
        seen_item_ids=frozenset([event.item_id for event in events]).union(older_items or ()),
        event_count=len(events) + older_count,
        catalog_sequence=catalog_sequence or 0,
        bundle=BundlePointer(version, previous, change_time) if version is not None else BundlePointer(),
        route=unpack_route("recommend", route, update_time) if route is not None else None,
        settings=settings or b"",
    )


def _unpack(columns: Iterable[Sequence[Any] | None]) -> list[UserEvent]:
    return list(map(UserEvent._make, zip(*(reversed(column or ()) for column in columns), strict=True)))
