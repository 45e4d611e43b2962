# ruff: noqa: S608  # the statements are put together from constants; values are always bound
"""Statements on what users wish for."""

from __future__ import annotations

from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.postgres.counters import NOW

_PUT = f"""
INSERT INTO user_settings (tenant, user_id, settings, update_time) VALUES ($1, $2, $3, {NOW})
ON CONFLICT (tenant, user_id) DO UPDATE SET settings = excluded.settings, update_time = excluded.update_time
"""


async def put(connection: Connection, tenant: str, user_id: str, settings: bytes) -> None:
    """Store a user's settings, or remove them when they are empty; part of a write."""
    if settings:
        await connection.execute(_PUT, tenant, user_id, settings)
    else:
        await delete(connection, tenant, user_id)


async def get(connection: Connection, tenant: str, user_id: str) -> bytes:
    """Read a user's settings; empty without any."""
    settings: bytes | None = await connection.fetchval(
        "SELECT settings FROM user_settings WHERE tenant = $1 AND user_id = $2", tenant, user_id
    )
    return settings or b""


async def delete(connection: Connection, tenant: str, user_id: str) -> None:
    """Forget a user's settings; part of a write."""
    await connection.execute("DELETE FROM user_settings WHERE tenant = $1 AND user_id = $2", tenant, user_id)
