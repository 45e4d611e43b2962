"""Statements on routes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from services.orchestrator.store.packing import pack_route, unpack_route
from services.orchestrator.store.records import Route


def put(connection: sqlite3.Connection, tenant: str, route: Route, now: int) -> Route:
    """Create or replace a route; part of a write."""
    stored = replace(route, update_time=now)
    connection.execute(
        "INSERT INTO routes (tenant, task, route, update_time) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, task) DO UPDATE SET route = excluded.route, update_time = excluded.update_time",
        (tenant, stored.task, pack_route(stored), now),
    )
    return stored


def of_tenant(connection: sqlite3.Connection, tenant: str) -> list[Route]:
    """Read all routes."""
    rows = connection.execute("SELECT task, route, update_time FROM routes WHERE tenant = ? ORDER BY task", (tenant,))
    return [unpack_route(*row) for row in rows]


def delete(connection: sqlite3.Connection, tenant: str, task: str) -> bool:
    """Delete a route; part of a write."""
    return connection.execute("DELETE FROM routes WHERE tenant = ? AND task = ?", (tenant, task)).rowcount > 0
