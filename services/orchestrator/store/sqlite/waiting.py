"""Statements on what waits for a model service: texts without a vector, pictures that nobody has looked
at.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from services.orchestrator.store.records import (
    PictureUpdate,
    TextVectorUpdate,
    UndescribedPicture,
    WaitingPicture,
    WaitingText,
)
from services.orchestrator.store.sqlite import counters, items


def texts(connection: sqlite3.Connection, limit: int) -> list[WaitingText]:
    """Read items whose text has no vector."""
    rows = connection.execute(
        "SELECT tenant, item_id, change_sequence, title, description, tags FROM items"
        " WHERE text_vector_stale = 1 ORDER BY tenant, item_id LIMIT ?",
        (limit,),
    )
    return [
        WaitingText(tenant, item_id, revision, title, description, tuple(json.loads(tags)))
        for tenant, item_id, revision, title, description, tags in rows
    ]


def set_text_vectors(connection: sqlite3.Connection, updates: Sequence[TextVectorUpdate]) -> int:
    """Store vectors of items that were not written since; part of a write."""
    changed: list[str] = []
    for update in updates:
        found = connection.execute(
            "SELECT 1 FROM items WHERE tenant = ? AND item_id = ? AND change_sequence = ? AND text_vector_stale = 1",
            (update.tenant, update.item_id, update.revision),
        ).fetchone()
        if found:
            items.set_text_vector(connection, update.tenant, update.item_id, update.vector, stale=False)
            changed.append(update.tenant)
    _count_changes(connection, changed)
    return len(changed)


def pictures(connection: sqlite3.Connection, limit: int) -> list[WaitingPicture]:
    """Read pictures that are not described, oldest first."""
    rows = connection.execute(
        "SELECT tenant, item_id, change_sequence, content, content_type FROM pending_pictures"
        " ORDER BY change_sequence, tenant, item_id LIMIT ?",
        (limit,),
    )
    return [
        WaitingPicture(tenant, item_id, revision, UndescribedPicture(content, content_type))
        for tenant, item_id, revision, content, content_type in rows
    ]


def set_pictures(connection: sqlite3.Connection, updates: Sequence[PictureUpdate]) -> int:
    """Store what pictures show, unless a newer one came since; part of a write."""
    changed: list[str] = []
    for update in updates:
        found = connection.execute(
            "SELECT 1 FROM pending_pictures WHERE tenant = ? AND item_id = ? AND change_sequence = ?",
            (update.tenant, update.item_id, update.revision),
        ).fetchone()
        if found:
            items.set_picture(connection, update.tenant, update.item_id, update.described)
            changed.append(update.tenant)
    _count_changes(connection, changed)
    return len(changed)


def _count_changes(connection: sqlite3.Connection, tenants: Iterable[str]) -> None:
    for tenant in set(tenants):
        counters.next_catalog_sequence(connection, tenant)
