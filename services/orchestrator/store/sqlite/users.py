"""Erases users, in pieces, so that a user with a million events holds nobody up."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from services.orchestrator.store.digests import identifier_digest
from services.orchestrator.store.sqlite import counters, settings

PIECE = 5_000
"""Events that one transaction erases at most."""


class Erasure(NamedTuple):
    """An erasure that has begun: from `erase_time` on no older event of the user gets in any more."""

    erase_time: int
    last_sequence: int


def begin(connection: sqlite3.Connection, tenant: str, user_id: str, now: int) -> Erasure:
    """Leave the tombstone and forget the settings; part of a write."""
    counters.ensure(connection, tenant)
    settings.delete(connection, tenant, user_id)
    connection.execute(
        "INSERT INTO erased_users (tenant, user_digest, erase_time) VALUES (?, ?, ?)"
        " ON CONFLICT (tenant, user_digest) DO UPDATE SET erase_time = excluded.erase_time",
        (tenant, identifier_digest(user_id), now),
    )
    return Erasure(now, counters.event_totals(connection, tenant).maximum_sequence)


def erase_events(connection: sqlite3.Connection, tenant: str, user_id: str, last_sequence: int) -> int:
    """Delete a piece of the user's events up to a sequence number, take them out of the statistics, and forget their
    content; returns how many. Part of a write.
    """
    rows = connection.execute(
        "SELECT sequence FROM events WHERE tenant = ? AND user_id = ? AND sequence <= ?"
        " ORDER BY event_time DESC LIMIT ?",
        (tenant, user_id, last_sequence, PIECE),
    ).fetchall()
    gone = [
        connection.execute(
            "DELETE FROM events WHERE tenant = ? AND sequence = ? RETURNING event_id, item_id, weight", (tenant, *row)
        ).fetchall()[0]
        for row in rows
    ]
    connection.executemany(
        "UPDATE item_statistics SET event_count = event_count - 1, positive_weight = max(0, positive_weight - ?)"
        " WHERE tenant = ? AND item_id = ?",
        [(max(weight, 0.0), tenant, item_id) for _, item_id, weight in gone],
    )
    connection.executemany(
        "DELETE FROM item_statistics WHERE tenant = ? AND item_id = ? AND event_count <= 0",
        [(tenant, item_id) for item_id in {item_id for _, item_id, _ in gone}],
    )
    connection.executemany(
        "UPDATE event_receipts SET content_digest = NULL WHERE tenant = ? AND event_digest = ?",
        [(tenant, identifier_digest(event_id)) for event_id, _, _ in gone],
    )
    counters.remove_events(connection, tenant, len(gone))
    return len(gone)


def erase_slates(connection: sqlite3.Connection, tenant: str, user_id: str) -> int:
    """Delete the lists that were served to the user; returns how many. Part of a write."""
    return connection.execute("DELETE FROM slates WHERE tenant = ? AND user_id = ?", (tenant, user_id)).rowcount
