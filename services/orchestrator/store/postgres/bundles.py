"""Statements on the pointer to the bundle that serves."""

from __future__ import annotations

import grpc

from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import BundlePointer
from services.runtime.errors import FailedPrecondition, ServiceError


async def pointer(connection: Connection, tenant: str) -> BundlePointer:
    """Read which bundle serves."""
    row = await connection.fetchrow(
        "SELECT version, previous_version, change_time FROM bundle_pointers WHERE tenant = $1", tenant
    )
    return BundlePointer(*row) if row else BundlePointer()


async def tenants(connection: Connection) -> list[str]:
    """Read the tenants that a bundle serves or that have routes."""
    rows = await connection.fetch("SELECT tenant FROM bundle_pointers UNION SELECT tenant FROM routes ORDER BY tenant")
    return [tenant for (tenant,) in rows]


async def activate(connection: Connection, tenant: str, version: str, expected: str) -> BundlePointer:
    """Make a bundle serve if `expected` serves now; part of a write."""
    now = (await counters.lock(connection, tenant)).now
    current = await _expect(connection, tenant, expected)
    if version == current.version:
        return current
    return await _store(connection, tenant, BundlePointer(version, current.version, now))


async def roll_back(connection: Connection, tenant: str, expected: str) -> BundlePointer:
    """Swap the serving and the previous bundle if `expected` serves now; part of a write."""
    now = (await counters.lock(connection, tenant)).now
    current = await _expect(connection, tenant, expected)
    if not current.previous_version:
        raise FailedPrecondition(
            "NO_PREVIOUS_BUNDLE",
            "no other bundle served before this one; activate the bundle you want by its version",
        )
    return await _store(connection, tenant, BundlePointer(current.previous_version, current.version, now))


async def _expect(connection: Connection, tenant: str, expected: str) -> BundlePointer:
    current = await pointer(connection, tenant)
    if current.version != expected:
        raise ServiceError(
            grpc.StatusCode.ABORTED,
            "BUNDLE_CHANGED",
            "another call changed the serving bundle meanwhile; look which one serves and decide again",
            metadata={"serving_version": current.version, "expected_version": expected},
        )
    return current


async def _store(connection: Connection, tenant: str, new: BundlePointer) -> BundlePointer:
    await connection.execute(
        "INSERT INTO bundle_pointers (tenant, version, previous_version, change_time) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (tenant) DO UPDATE SET version = excluded.version, previous_version = excluded.previous_version,"
        " change_time = excluded.change_time",
        tenant,
        new.version,
        new.previous_version,
        new.change_time,
    )
    return new
