# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Statements on the lists that were served."""

from __future__ import annotations

import sqlite3
from typing import Any

from services.orchestrator.store.packing import pack_strings, unpack_strings
from services.orchestrator.store.records import Slate

_COLUMNS = "slate_id, user_id, surface, create_time, expire_time, bundle_version, arm, item_ids, propensities, content"


def write(connection: sqlite3.Connection, tenant: str, slate: Slate) -> None:
    """Store a list; part of a write."""
    connection.execute(
        f"INSERT INTO slates (tenant, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tenant,
            slate.slate_id,
            slate.user_id,
            slate.surface,
            slate.create_time,
            slate.expire_time,
            slate.bundle_version,
            slate.arm,
            pack_strings(slate.item_ids),
            slate.propensities,
            slate.content,
        ),
    )


def get(connection: sqlite3.Connection, tenant: str, slate_id: str, now: int) -> Slate | None:
    """Read a list that has not expired."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM slates WHERE tenant = ? AND slate_id = ? AND expire_time > ?", (tenant, slate_id, now)
    ).fetchone()
    return _slate(row) if row else None


def of_user(
    connection: sqlite3.Connection,
    tenant: str,
    user_id: str,
    limit: int,
    before: tuple[int, str] | None,
    now: int,
) -> list[Slate]:
    """Read a user's lists that have not expired, newest first."""
    older = "AND (create_time, slate_id) < (?, ?)" if before else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM slates WHERE tenant = ? AND user_id = ? AND expire_time > ? {older}"
        " ORDER BY create_time DESC, slate_id DESC LIMIT ?",
        (tenant, user_id, now, *(before or ()), limit),
    )
    return list(map(_slate, rows))


def _slate(row: Any) -> Slate:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Slate(**(fields | {"item_ids": unpack_strings(fields["item_ids"])}))
