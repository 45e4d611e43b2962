# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Reads for reports: lists of a stretch of time, and the events that followed from lists."""

from __future__ import annotations

from typing import Any

from services.orchestrator.store.packing import unpack_strings
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.postgres.counters import NOW
from services.orchestrator.store.records import AttributedEvent, Slate

_COLUMNS = "slate_id, user_id, surface, create_time, expire_time, bundle_version, arm, item_ids, propensities"


async def slates_between(
    connection: Connection, tenant: str, start: int, end: int, after: str, limit: int
) -> list[Slate]:
    """Read lists by id, without their content."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM slates WHERE tenant = $1 AND slate_id > $2 AND create_time >= $3 AND create_time < $4"
        f" AND expire_time > {NOW} ORDER BY slate_id LIMIT $5",
        tenant,
        after,
        start,
        end,
        limit,
    )
    return [_slate(row) for row in rows]


async def attributed_events(
    connection: Connection, tenant: str, start: int, after: int, limit: int
) -> list[AttributedEvent]:
    """Read events that carry a list, in the order of storage."""
    rows = await connection.fetch(
        "SELECT sequence, slate_id, position, weight, watched_fraction FROM events WHERE tenant = $1 AND sequence > $2"
        " AND slate_id <> '' AND receive_time >= $3 ORDER BY sequence LIMIT $4",
        tenant,
        after,
        start,
        limit,
    )
    return [AttributedEvent(*row) for row in rows]


def _slate(row: Any) -> Slate:
    slate_id, user_id, surface, create_time, expire_time, bundle_version, arm, item_ids, propensities = row
    return Slate(
        slate_id,
        user_id,
        surface,
        create_time,
        expire_time,
        bundle_version,
        arm,
        unpack_strings(item_ids),
        propensities,
        b"",
    )
