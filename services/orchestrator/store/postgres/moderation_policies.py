"""Statements on moderation policies."""

from __future__ import annotations

from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import StoredPolicy, policy_changed


async def add(connection: Connection, tenant: str, name: str, policy: bytes, expected: int) -> StoredPolicy:
    """Add the next version of a policy; part of a write."""
    now = (await counters.lock(connection, tenant)).now
    row = await connection.fetchrow(
        "SELECT max(version) FROM moderation_policies WHERE tenant = $1 AND name = $2", tenant, name
    )
    current = (row[0] if row else None) or 0
    if expected and expected != current:
        raise policy_changed(name, current, expected)
    stored = StoredPolicy(name, current + 1, policy, now)
    await connection.execute(
        "INSERT INTO moderation_policies (tenant, name, version, policy, create_time) VALUES ($1, $2, $3, $4, $5)",
        tenant,
        name,
        stored.version,
        policy,
        now,
    )
    return stored


async def one(connection: Connection, tenant: str, name: str, version: int) -> StoredPolicy | None:
    """Read one version, or with 0 the newest."""
    row = await connection.fetchrow(
        "SELECT name, version, policy, create_time FROM moderation_policies"
        " WHERE tenant = $1 AND name = $2 AND ($3::bigint = 0 OR version = $3) ORDER BY version DESC LIMIT 1",
        tenant,
        name,
        version,
    )
    return StoredPolicy(*row) if row else None


async def newest(connection: Connection, tenant: str, limit: int) -> list[StoredPolicy]:
    """Read the newest versions of all policies."""
    rows = await connection.fetch(
        "SELECT name, version, policy, create_time FROM moderation_policies WHERE tenant = $1"
        " ORDER BY create_time DESC, name, version DESC LIMIT $2",
        tenant,
        limit,
    )
    return [StoredPolicy(*row) for row in rows]
