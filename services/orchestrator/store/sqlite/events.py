# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Statements on events and on the statistics that are kept with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from services.orchestrator.store.digests import content_digest, identifier_digest
from services.orchestrator.store.records import (
    EventPosition,
    EventRecord,
    EventTotals,
    EventWrite,
    ItemStatistics,
    WriteCounts,
)
from services.orchestrator.store.sqlite import counters

_COLUMNS = (
    "sequence, event_id, user_id, item_id, kind, weight, event_time, receive_time, watched_fraction, rating,"
    " slate_id, position"
)
_PARAMETERS = (1, 8, 64, 500)
_MOST_PARAMETERS = _PARAMETERS[-1]


def write(connection: sqlite3.Connection, tenant: str, events: Sequence[EventWrite], now: int) -> WriteCounts:
    """Store the events that are new and count them in the statistics; part of a write."""
    counters.ensure(connection, tenant)
    digests = [identifier_digest(event.event_id) for event in events]
    contents = list(map(content_digest, events))
    known: dict[bytes, bytes | None] = dict(
        _among(connection, "SELECT event_digest, content_digest FROM event_receipts", "event_digest", tenant, digests)
    )
    erased = _erasures(connection, tenant, events)
    fresh: list[int] = []
    conflicts: list[str] = []
    dropped = 0
    for place, (event, digest, content) in enumerate(zip(events, digests, contents, strict=True)):
        if digest in known:
            first = known[digest]
            if first is not None and first != content:
                conflicts.append(event.event_id)
        elif event.event_time <= erased.get(event.user_id, event.event_time - 1):
            dropped += 1
        else:
            known[digest] = content
            fresh.append(place)
    _store(connection, tenant, [events[place] for place in fresh], now)
    connection.executemany(
        "INSERT INTO event_receipts (tenant, event_digest, content_digest, receive_time) VALUES (?, ?, ?, ?)",
        [(tenant, digests[place], contents[place], now) for place in fresh],
    )
    return WriteCounts(len(fresh), len(events) - len(fresh) - dropped, tuple(conflicts), dropped)


def _store(connection: sqlite3.Connection, tenant: str, events: Sequence[EventWrite], now: int) -> None:
    totals = counters.event_totals(connection, tenant)
    connection.executemany(
        f"INSERT INTO events (tenant, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                tenant,
                sequence,
                event.event_id,
                event.user_id,
                event.item_id,
                event.kind,
                event.weight,
                event.event_time,
                now,
                event.watched_fraction,
                event.rating,
                event.slate_id,
                event.position,
            )
            for sequence, event in enumerate(events, start=totals.maximum_sequence + 1)
        ],
    )
    _count_in_statistics(connection, tenant, events)
    count = len(events)
    counters.set_event_totals(connection, tenant, EventTotals(totals.count + count, totals.maximum_sequence + count))


def _erasures(connection: sqlite3.Connection, tenant: str, events: Sequence[EventWrite]) -> dict[str, int]:
    """Return when those of the users were erased that were."""
    if not connection.execute("SELECT EXISTS (SELECT 1 FROM erased_users WHERE tenant = ?)", (tenant,)).fetchone()[0]:
        return {}
    users = {identifier_digest(user_id): user_id for user_id in {event.user_id for event in events}}
    rows = _among(connection, "SELECT user_digest, erase_time FROM erased_users", "user_digest", tenant, list(users))
    return {users[digest]: erase_time for digest, erase_time in rows}


def _among(
    connection: sqlite3.Connection, select: str, column: str, tenant: str, digests: Sequence[bytes]
) -> list[tuple[bytes, Any]]:
    """Read the rows of the given digests. Few different numbers of parameters keep the statements compiled."""
    found: list[tuple[bytes, Any]] = []
    for start in range(0, len(digests), _MOST_PARAMETERS):
        asked = digests[start : start + _MOST_PARAMETERS]
        size = next(size for size in _PARAMETERS if size >= len(asked))
        places = ", ".join("?" * size)
        padded = [*asked, *[asked[0]] * (size - len(asked))]
        found += connection.execute(f"{select} WHERE tenant = ? AND {column} IN ({places})", (tenant, *padded))
    return found


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
