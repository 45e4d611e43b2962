# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""The read that each recommendation begins with.

The interpreter lock is given up and taken again around each step of a SQLite cursor. Beside a busy event loop a history
that is fetched row by row waits for the lock hundreds of times (measured: three times slower). So SQLite packs the
columns into JSON, and the whole read is one statement with one row, which also sees one state of the database.
"""

from __future__ import annotations

import json
import sqlite3

from services.orchestrator.store.packing import unpack_route
from services.orchestrator.store.records import SEEN_EVENTS, BundlePointer, RecommendationState, UserEvent

_PACKED = (
    "json_array(json_group_array(item_id), json_group_array(weight), json_group_array(kind),"
    " json_group_array(event_time), json_group_array(sequence))"
)
_NEWEST = (
    "(SELECT item_id, weight, kind, event_time, sequence FROM events WHERE tenant = ?1 AND user_id = ?2"
    " ORDER BY event_time DESC, sequence DESC LIMIT ?3)"
)
_HISTORY = f"SELECT {_PACKED} FROM {_NEWEST}"
# What is older than the history adds to the seen items and the count only.
_OLDER = (
    "SELECT json_array(json_group_array(DISTINCT item_id), count(*)) FROM (SELECT item_id FROM events"
    " WHERE tenant = ?1 AND user_id = ?2 ORDER BY event_time DESC, sequence DESC LIMIT max(0, ?4 - ?3) OFFSET ?3)"
)
_STATE = (
    f"SELECT ({_HISTORY}), ({_OLDER}), (SELECT catalog_sequence FROM tenant_counters WHERE tenant = ?1),"
    " version, previous_version, change_time, route, routes.update_time,"
    " (SELECT settings FROM user_settings WHERE tenant = ?1 AND user_id = ?2) FROM (SELECT 1)"
    " LEFT JOIN bundle_pointers ON bundle_pointers.tenant = ?1"
    " LEFT JOIN routes ON routes.tenant = ?1 AND routes.task = 'recommend'"
)


def history(connection: sqlite3.Connection, tenant: str, user_id: str, limit: int) -> list[UserEvent]:
    """Read a user's newest events, oldest first."""
    row = connection.execute(_HISTORY, (tenant, user_id, limit)).fetchone()
    return _unpack(row[0])


def state(connection: sqlite3.Connection, tenant: str, user_id: str, history_limit: int) -> RecommendationState:
    """Read all that a recommendation needs."""
    row = connection.execute(_STATE, (tenant, user_id, history_limit, SEEN_EVENTS)).fetchone()
    packed, older, catalog_sequence, version, previous, change_time, route, update_time, settings = row
    events = _unpack(packed)
    older_items, older_count = json.loads(older)
    return RecommendationState(
        history=events,
        seen_item_ids=frozenset([event.item_id for event in events]).union(older_items),
        event_count=len(events) + older_count,
        catalog_sequence=catalog_sequence or 0,
        bundle=BundlePointer(version, previous, change_time) if version is not None else BundlePointer(),
        route=unpack_route("recommend", route, update_time) if route is not None else None,
        settings=settings or b"",
    )


def _unpack(packed: str) -> list[UserEvent]:
    columns = json.loads(packed)
    return list(map(UserEvent._make, zip(*map(reversed, columns), strict=True)))
