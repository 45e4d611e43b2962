"""Deletes what has outlived its time, a bounded piece a transaction."""

from __future__ import annotations

import sqlite3

from services.orchestrator.store.records import Maintenance, Retention
from services.orchestrator.store.sqlite import counters

PIECE = 10_000
"""Rows of each kind that one transaction deletes at most."""


def maintain(connection: sqlite3.Connection, retention: Retention, now: int) -> Maintenance:
    """Delete one piece of each kind; part of a write."""
    slates = connection.execute(
        "DELETE FROM slates WHERE rowid IN (SELECT rowid FROM slates WHERE expire_time <= ? LIMIT ?)", (now, PIECE)
    ).rowcount
    receipts = connection.execute(
        "DELETE FROM event_receipts WHERE (tenant, event_digest) IN"
        " (SELECT tenant, event_digest FROM event_receipts WHERE receive_time < ? LIMIT ?)",
        (now - retention.deduplication, PIECE),
    ).rowcount
    deletions = _forget_deletions(connection, now - retention.deletions)
    events = 0 if retention.events is None else _delete_events(connection, now - retention.events)
    return Maintenance(events, receipts, slates, PIECE in (slates, receipts, deletions, events))


def _delete_events(connection: sqlite3.Connection, before: int) -> int:
    """Delete a piece of the events that were received before; a tenant's events lie in the order of their receipt."""
    left = PIECE
    for (tenant,) in connection.execute("SELECT tenant FROM tenant_counters ORDER BY tenant").fetchall():
        rows = connection.execute(
            "SELECT sequence, receive_time FROM events WHERE tenant = ? ORDER BY sequence LIMIT ?", (tenant, left)
        ).fetchall()
        old = [sequence for sequence, receive_time in rows if receive_time < before]
        connection.executemany(
            "DELETE FROM events WHERE tenant = ? AND sequence = ?", [(tenant, sequence) for sequence in old]
        )
        counters.remove_events(connection, tenant, len(old))
        left -= len(old)
        if left <= 0:
            break
    return PIECE - left


def _forget_deletions(connection: sqlite3.Connection, before: int) -> int:
    """Forget deleted items, and note up to which state of the catalogue; returns how many."""
    rows = connection.execute(
        "SELECT tenant, change_sequence FROM item_deletions WHERE delete_time < ? LIMIT ?", (before, PIECE)
    ).fetchall()
    newest: dict[str, int] = {}
    for tenant, sequence in rows:
        newest[tenant] = max(sequence, newest.get(tenant, 0))
    for tenant, sequence in newest.items():
        connection.execute("DELETE FROM item_deletions WHERE tenant = ? AND change_sequence <= ?", (tenant, sequence))
        connection.execute(
            "UPDATE tenant_counters SET deletions_forgotten = max(deletions_forgotten, ?) WHERE tenant = ?",
            (sequence, tenant),
        )
    return len(rows)
