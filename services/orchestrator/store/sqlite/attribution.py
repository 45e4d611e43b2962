# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Reads for reports: lists of a stretch of time, and the events that followed from lists."""

from __future__ import annotations

import sqlite3
from typing import Any

from services.orchestrator.store.packing import unpack_strings
from services.orchestrator.store.records import AttributedEvent, Slate

_COLUMNS = "slate_id, user_id, surface, create_time, expire_time, bundle_version, arm, item_ids, propensities"


def slates_between(
    connection: sqlite3.Connection, tenant: str, start: int, end: int, after: str, limit: int, now: int
) -> list[Slate]:
    """Read lists by id, without their content."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM slates WHERE tenant = ? AND slate_id > ? AND create_time >= ? AND create_time < ?"
        " AND expire_time > ? ORDER BY slate_id LIMIT ?",
        (tenant, after, start, end, now, limit),
    )
    return [_slate(row) for row in rows]


def attributed_events(
    connection: sqlite3.Connection, tenant: str, start: int, after: int, limit: int
) -> list[AttributedEvent]:
    """Read events that carry a list, in the order of storage."""
    rows = connection.execute(
        "SELECT sequence, slate_id, position, weight, watched_fraction FROM events WHERE tenant = ? AND sequence > ?"
        " AND slate_id <> '' AND receive_time >= ? ORDER BY sequence LIMIT ?",
        (tenant, after, start, limit),
    )
    return list(map(AttributedEvent._make, rows))


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
