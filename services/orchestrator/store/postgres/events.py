# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Reads of events and of the statistics that are kept with them."""

from __future__ import annotations

from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import EventPosition, EventRecord, ItemStatistics

_COLUMNS = (
    "sequence, event_id, user_id, item_id, kind, weight, event_time, receive_time, watched_fraction, rating, slate_id,"
    " position"
)
_NEWEST_FIRST = "ORDER BY event_time DESC, sequence DESC LIMIT"


async def of_user(
    connection: Connection, tenant: str, user_id: str, limit: int, before: EventPosition | None
) -> list[EventRecord]:
    """Read a user's events, newest first."""
    if before is None:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM events WHERE tenant = $1 AND user_id = $2 {_NEWEST_FIRST} $3",
            tenant,
            user_id,
            limit,
        )
    else:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM events WHERE tenant = $1 AND user_id = $2"
            f" AND (event_time, sequence) < ($4, $5) {_NEWEST_FIRST} $3",
            tenant,
            user_id,
            limit,
            before.event_time,
            before.sequence,
        )
    return [EventRecord(*row) for row in rows]


async def stored_between(connection: Connection, tenant: str, after: int, last: int, limit: int) -> list[EventRecord]:
    """Read events in the order of storage."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM events WHERE tenant = $1 AND sequence > $2 AND sequence <= $3"
        " ORDER BY sequence LIMIT $4",
        tenant,
        after,
        last,
        limit,
    )
    return [EventRecord(*row) for row in rows]


async def statistics(connection: Connection, tenant: str) -> list[ItemStatistics]:
    """Read the statistics of all items."""
    rows = await connection.fetch(
        "SELECT item_id, event_count, positive_weight, last_event_time FROM item_statistics WHERE tenant = $1", tenant
    )
    return [ItemStatistics(*row) for row in rows]
