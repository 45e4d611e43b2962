"""Statements on what waits for a model service: texts without a vector, pictures that nobody has looked
at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from services.orchestrator.store.packing import unpack_strings
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
        WaitingText(tenant, item_id, revision, title, description, unpack_strings(tags))
        for tenant, item_id, revision, title, description, tags in rows
    ]


def set_text_vectors(connection: sqlite3.Connection, updates: Sequence[TextVectorUpdate]) -> int:
    """Store vectors of items that were not written since; part of a write."""
    changes = _Changes(connection)
    for update in updates:
        found = connection.execute(
            "SELECT 1 FROM items WHERE tenant = ? AND item_id = ? AND change_sequence = ? AND text_vector_stale = 1",
            (update.tenant, update.item_id, update.revision),
        ).fetchone()
        if found:
            change = changes.next(update.tenant)
            items.set_text_vector(connection, update.tenant, update.item_id, update.vector, change, stale=False)
    return changes.count


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
    changes = _Changes(connection)
    for update in updates:
        found = connection.execute(
            "SELECT 1 FROM pending_pictures WHERE tenant = ? AND item_id = ? AND change_sequence = ?",
            (update.tenant, update.item_id, update.revision),
        ).fetchone()
        if found:
            change = changes.next(update.tenant)
            items.set_picture(connection, update.tenant, update.item_id, update.described, change)
    return changes.count


class _Changes:
    """Counts changed items; all of one tenant are one change of its catalogue."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.count = 0
        self._connection = connection
        self._sequences: dict[str, int] = {}

    def next(self, tenant: str) -> int:
        """Count one item and return the number of its tenant's change."""
        self.count += 1
        if tenant not in self._sequences:
            self._sequences[tenant] = counters.next_catalog_sequence(self._connection, tenant)
        return self._sequences[tenant]
