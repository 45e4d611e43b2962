"""Statements on the pointer to the bundle that serves."""

from __future__ import annotations

import sqlite3

import grpc

from services.orchestrator.store.records import BundlePointer
from services.runtime.errors import FailedPrecondition, ServiceError


def pointer(connection: sqlite3.Connection, tenant: str) -> BundlePointer:
    """Read which bundle serves."""
    row = connection.execute(
        "SELECT version, previous_version, change_time FROM bundle_pointers WHERE tenant = ?", (tenant,)
    ).fetchone()
    return BundlePointer(*row) if row else BundlePointer()


def tenants(connection: sqlite3.Connection) -> list[str]:
    """Read the tenants that a bundle serves or that have routes."""
    rows = connection.execute("SELECT tenant FROM bundle_pointers UNION SELECT tenant FROM routes ORDER BY tenant")
    return [tenant for (tenant,) in rows]


def activate(connection: sqlite3.Connection, tenant: str, version: str, expected: str, now: int) -> BundlePointer:
    """Make a bundle serve if `expected` serves now; part of a write."""
    current = _expect(connection, tenant, expected)
    if version == current.version:
        return current
    return _store(connection, tenant, BundlePointer(version, current.version, now))


def roll_back(connection: sqlite3.Connection, tenant: str, expected: str, now: int) -> BundlePointer:
    """Swap the serving and the previous bundle if `expected` serves now; part of a write."""
    current = _expect(connection, tenant, expected)
    if not current.previous_version:
        raise FailedPrecondition(
            "NO_PREVIOUS_BUNDLE",
            "no other bundle served before this one; activate the bundle you want by its version",
        )
    return _store(connection, tenant, BundlePointer(current.previous_version, current.version, now))


def _expect(connection: sqlite3.Connection, tenant: str, expected: str) -> BundlePointer:
    current = pointer(connection, tenant)
    if current.version != expected:
        raise ServiceError(
            grpc.StatusCode.ABORTED,
            "BUNDLE_CHANGED",
            "another call changed the serving bundle meanwhile; look which one serves and decide again",
            metadata={"serving_version": current.version, "expected_version": expected},
        )
    return current


def _store(connection: sqlite3.Connection, tenant: str, new: BundlePointer) -> BundlePointer:
    connection.execute(
        "INSERT INTO bundle_pointers (tenant, version, previous_version, change_time) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant) DO UPDATE SET version = excluded.version, previous_version = excluded.previous_version,"
        " change_time = excluded.change_time",
        (tenant, new.version, new.previous_version, new.change_time),
    )
    return new
