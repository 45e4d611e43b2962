"""The row of numbers that each tenant has; see the migration for what they are."""

from __future__ import annotations

import sqlite3

from services.orchestrator.store.records import CatalogState, EventTotals


def ensure(connection: sqlite3.Connection, tenant: str) -> None:
    """Make sure that the tenant has its row; part of a write."""
    connection.execute("INSERT INTO tenant_counters (tenant) VALUES (?) ON CONFLICT DO NOTHING", (tenant,))


def next_catalog_sequence(connection: sqlite3.Connection, tenant: str) -> int:
    """Count a change of the catalogue and return its number; part of a write."""
    ensure(connection, tenant)
    row = connection.execute(
        "UPDATE tenant_counters SET catalog_sequence = catalog_sequence + 1 WHERE tenant = ?"
        " RETURNING catalog_sequence",
        (tenant,),
    ).fetchall()
    return int(row[0][0])


def add_items(connection: sqlite3.Connection, tenant: str, count: int) -> None:
    """Count created (positive) or deleted (negative) items; part of a write."""
    connection.execute("UPDATE tenant_counters SET item_count = item_count + ? WHERE tenant = ?", (count, tenant))


def catalog_state(connection: sqlite3.Connection, tenant: str) -> CatalogState:
    """Read the catalogue's change counter and size."""
    row = connection.execute(
        "SELECT catalog_sequence, item_count FROM tenant_counters WHERE tenant = ?", (tenant,)
    ).fetchone()
    return CatalogState(*row) if row else CatalogState(0, 0)


def event_totals(connection: sqlite3.Connection, tenant: str) -> EventTotals:
    """Read the number of events and the highest sequence number."""
    row = connection.execute(
        "SELECT event_count, event_sequence FROM tenant_counters WHERE tenant = ?", (tenant,)
    ).fetchone()
    return EventTotals(*row) if row else EventTotals(0, 0)


def set_event_totals(connection: sqlite3.Connection, tenant: str, totals: EventTotals) -> None:
    """Store the number of events and the highest sequence number; part of a write."""
    connection.execute(
        "UPDATE tenant_counters SET event_count = ?, event_sequence = ? WHERE tenant = ?",
        (totals.count, totals.maximum_sequence, tenant),
    )


def remove_events(connection: sqlite3.Connection, tenant: str, count: int) -> None:
    """Count events that were deleted; part of a write."""
    connection.execute("UPDATE tenant_counters SET event_count = event_count - ? WHERE tenant = ?", (count, tenant))
