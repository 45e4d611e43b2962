"""Statements on moderation policies."""

from __future__ import annotations

import sqlite3

from services.orchestrator.store.records import StoredPolicy, policy_changed


def add(connection: sqlite3.Connection, tenant: str, name: str, policy: bytes, expected: int, now: int) -> StoredPolicy:
    """Add the next version of a policy; part of a write."""
    row = connection.execute(
        "SELECT max(version) FROM moderation_policies WHERE tenant = ? AND name = ?", (tenant, name)
    ).fetchone()
    current = row[0] or 0
    if expected and expected != current:
        raise policy_changed(name, current, expected)
    stored = StoredPolicy(name, current + 1, policy, now)
    connection.execute(
        "INSERT INTO moderation_policies (tenant, name, version, policy, create_time) VALUES (?, ?, ?, ?, ?)",
        (tenant, name, stored.version, policy, now),
    )
    return stored


def one(connection: sqlite3.Connection, tenant: str, name: str, version: int) -> StoredPolicy | None:
    """Read one version, or with 0 the newest."""
    row = connection.execute(
        "SELECT name, version, policy, create_time FROM moderation_policies"
        " WHERE tenant = ?1 AND name = ?2 AND (?3 = 0 OR version = ?3) ORDER BY version DESC LIMIT 1",
        (tenant, name, version),
    ).fetchone()
    return StoredPolicy(*row) if row else None


def newest(connection: sqlite3.Connection, tenant: str, limit: int) -> list[StoredPolicy]:
    """Read the newest versions of all policies."""
    rows = connection.execute(
        "SELECT name, version, policy, create_time FROM moderation_policies WHERE tenant = ?"
        " ORDER BY create_time DESC, name, version DESC LIMIT ?",
        (tenant, limit),
    )
    return [StoredPolicy(*row) for row in rows]
