"""Statements on routes."""

from __future__ import annotations

from dataclasses import replace

from services.orchestrator.store.packing import pack_route, unpack_route
from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import Route


async def put(connection: Connection, tenant: str, route: Route) -> Route:
    """Create or replace a route; part of a write."""
    stored = replace(route, update_time=(await counters.lock(connection, tenant)).now)
    await connection.execute(
        "INSERT INTO routes (tenant, task, route, update_time) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (tenant, task) DO UPDATE SET route = excluded.route, update_time = excluded.update_time",
        tenant,
        stored.task,
        pack_route(stored),
        stored.update_time,
    )
    return stored


async def of_tenant(connection: Connection, tenant: str) -> list[Route]:
    """Read all routes."""
    rows = await connection.fetch("SELECT task, route, update_time FROM routes WHERE tenant = $1 ORDER BY task", tenant)
    return [unpack_route(*row) for row in rows]


async def delete(connection: Connection, tenant: str, task: str) -> bool:
    """Delete a route; part of a write."""
    await counters.lock(connection, tenant)
    found = await connection.fetchrow("DELETE FROM routes WHERE tenant = $1 AND task = $2 RETURNING 1", tenant, task)
    return found is not None
