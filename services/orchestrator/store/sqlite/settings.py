"""Statements on what users wish for."""

from __future__ import annotations

import sqlite3


def put(connection: sqlite3.Connection, tenant: str, user_id: str, settings: bytes, now: int) -> None:
    """Store a user's settings, or remove them when they are empty; part of a write."""
    if not settings:
        delete(connection, tenant, user_id)
        return
    connection.execute(
        "INSERT INTO user_settings (tenant, user_id, settings, update_time) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, user_id) DO UPDATE SET settings = excluded.settings, update_time = excluded.update_time",
        (tenant, user_id, settings, now),
    )


def get(connection: sqlite3.Connection, tenant: str, user_id: str) -> bytes:
    """Read a user's settings; empty without any."""
    row = connection.execute(
        "SELECT settings FROM user_settings WHERE tenant = ? AND user_id = ?", (tenant, user_id)
    ).fetchone()
    return row[0] if row else b""


def delete(connection: sqlite3.Connection, tenant: str, user_id: str) -> None:
    """Forget a user's settings; part of a write."""
    connection.execute("DELETE FROM user_settings WHERE tenant = ? AND user_id = ?", (tenant, user_id))
