# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Statements on events and on the statistics that are kept with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from services.orchestrator.store.records import (
    EventPosition,
    EventRecord,
    EventTotals,
    EventWrite,
    ItemStatistics,
    WriteCounts,
)
from services.orchestrator.store.sqlite import counters

_COLUMNS = "sequence, event_id, user_id, item_id, kind, weight, event_time, receive_time, watched_fraction, rating"


def write(connection: sqlite3.Connection, tenant: str, events: Sequence[EventWrite], now: int) -> WriteCounts:
    """Store the events that are new and count them in the statistics; part of a write."""
    counters.ensure(connection, tenant)
    totals = counters.event_totals(connection, tenant)
    sequence = totals.maximum_sequence
    stored: list[EventWrite] = []
    for event in events:
        inserted = connection.execute(
            f"INSERT INTO events (tenant, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (tenant, event_id) DO NOTHING",
            (
                tenant,
                sequence + 1,
                event.event_id,
                event.user_id,
                event.item_id,
                event.kind,
                event.weight,
                event.event_time,
                now,
                event.watched_fraction,
                event.rating,
            ),
        )
        if inserted.rowcount:
            sequence += 1
            stored.append(event)
    _count_in_statistics(connection, tenant, stored)
    counters.set_event_totals(connection, tenant, EventTotals(totals.count + len(stored), sequence))
    return WriteCounts(len(stored), len(events) - len(stored))


def _count_in_statistics(connection: sqlite3.Connection, tenant: str, events: Sequence[EventWrite]) -> None:
    sums: dict[str, tuple[int, float, int]] = {}
    for event in events:
        count, weight, newest = sums.get(event.item_id, (0, 0.0, event.event_time))
        sums[event.item_id] = (count + 1, weight + max(event.weight, 0.0), max(newest, event.event_time))
    connection.executemany(
        "INSERT INTO item_statistics (tenant, item_id, event_count, positive_weight, last_event_time)"
        " VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant, item_id) DO UPDATE SET event_count = event_count + excluded.event_count,"
        " positive_weight = positive_weight + excluded.positive_weight,"
        " last_event_time = max(last_event_time, excluded.last_event_time)",
        [(tenant, item_id, *numbers) for item_id, numbers in sums.items()],
    )


def of_user(
    connection: sqlite3.Connection, tenant: str, user_id: str, limit: int, before: EventPosition | None
) -> list[EventRecord]:
    """Read a user's events, newest first."""
    older = "AND (event_time, sequence) < (?, ?)" if before else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM events WHERE tenant = ? AND user_id = ? {older}"
        " ORDER BY event_time DESC, sequence DESC LIMIT ?",
        (tenant, user_id, *(before or ()), limit),
    )
    return [EventRecord(*row) for row in rows]


def stored_between(connection: sqlite3.Connection, tenant: str, after: int, last: int, limit: int) -> list[EventRecord]:
    """Read events in the order of storage."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM events WHERE tenant = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
        (tenant, after, last, limit),
    )
    return [EventRecord(*row) for row in rows]


def statistics(connection: sqlite3.Connection, tenant: str) -> list[ItemStatistics]:
    """Read the statistics of all items."""
    rows = connection.execute(
        "SELECT item_id, event_count, positive_weight, last_event_time FROM item_statistics WHERE tenant = ?",
        (tenant,),
    )
    return [ItemStatistics(*row) for row in rows]
