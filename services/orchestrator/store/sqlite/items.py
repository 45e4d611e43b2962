# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Statements on the catalogue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from services.orchestrator.store.records import (
    DescribedPicture,
    ItemRecord,
    ItemVector,
    ItemWrite,
    UpsertCounts,
)
from services.orchestrator.store.sqlite import counters

_FIELDS = "item_id, title, description, tags, maturity_age, release_year, picture_labels, update_time"
_VECTORS = "text_vector, text_model, text_version, picture_vector, picture_model, picture_version"


def upsert(connection: sqlite3.Connection, tenant: str, items: Sequence[ItemWrite], now: int) -> UpsertCounts:
    """Create or replace items; part of a write."""
    revision = counters.next_catalog_sequence(connection, tenant)
    created = 0
    for item in items:
        tags = json.dumps(item.tags, ensure_ascii=False)
        row = connection.execute(
            "SELECT title = ? AND description = ? AND tags = ? FROM items WHERE tenant = ? AND item_id = ?",
            (item.title, item.description, tags, tenant, item.item_id),
        ).fetchone()
        if row is None:
            created += 1
            connection.execute(
                "INSERT INTO items (tenant, item_id, change_sequence, update_time, maturity_age, release_year,"
                " text_vector_stale, title, tags, picture_labels, description)"
                " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, '[]', ?)",
                (
                    tenant,
                    item.item_id,
                    revision,
                    now,
                    item.maturity_age,
                    item.release_year,
                    item.title,
                    tags,
                    item.description,
                ),
            )
        else:
            connection.execute(
                "UPDATE items SET change_sequence = ?, update_time = ?, maturity_age = ?, release_year = ?, title = ?,"
                " tags = ?, description = ? WHERE tenant = ? AND item_id = ?",
                (
                    revision,
                    now,
                    item.maturity_age,
                    item.release_year,
                    item.title,
                    tags,
                    item.description,
                    tenant,
                    item.item_id,
                ),
            )
        same_text = row is not None and bool(row[0])
        if item.text_vector is not None or not same_text:
            set_text_vector(connection, tenant, item.item_id, item.text_vector, stale=item.text_vector is None)
        if item.picture is not None:
            _replace_picture(connection, tenant, item, revision)
    counters.add_items(connection, tenant, created)
    return UpsertCounts(created, len(items) - created)


def set_text_vector(
    connection: sqlite3.Connection, tenant: str, item_id: str, vector: ItemVector | None, *, stale: bool
) -> None:
    """Store or clear an item's text vector; `stale` makes it wait for one. Part of a write."""
    connection.execute(
        "UPDATE items SET text_vector_stale = ?, text_vector = ?, text_model = ?, text_version = ?"
        " WHERE tenant = ? AND item_id = ?",
        (int(stale), *_vector_columns(vector), tenant, item_id),
    )


def set_picture(connection: sqlite3.Connection, tenant: str, item_id: str, picture: DescribedPicture | None) -> None:
    """Store or clear what an item's picture shows, and forget a picture that waits. Part of a write."""
    connection.execute("DELETE FROM pending_pictures WHERE tenant = ? AND item_id = ?", (tenant, item_id))
    connection.execute(
        "UPDATE items SET picture_labels = ?, picture_vector = ?, picture_model = ?, picture_version = ?"
        " WHERE tenant = ? AND item_id = ?",
        (
            json.dumps(picture.labels if picture else (), ensure_ascii=False),
            *_vector_columns(picture.vector if picture else None),
            tenant,
            item_id,
        ),
    )


def _replace_picture(connection: sqlite3.Connection, tenant: str, item: ItemWrite, revision: int) -> None:
    if isinstance(item.picture, DescribedPicture):
        set_picture(connection, tenant, item.item_id, item.picture)
    elif item.picture is not None:
        set_picture(connection, tenant, item.item_id, None)
        connection.execute(
            "INSERT INTO pending_pictures (tenant, item_id, change_sequence, content_type, content)"
            " VALUES (?, ?, ?, ?, ?)",
            (tenant, item.item_id, revision, item.picture.content_type, item.picture.content),
        )


def delete(connection: sqlite3.Connection, tenant: str, item_id: str) -> bool:
    """Delete an item; a picture that waits goes with it. Part of a write."""
    found = connection.execute("DELETE FROM items WHERE tenant = ? AND item_id = ?", (tenant, item_id)).rowcount > 0
    if found:
        counters.next_catalog_sequence(connection, tenant)
        counters.add_items(connection, tenant, -1)
    return found


def get(connection: sqlite3.Connection, tenant: str, item_id: str) -> ItemRecord | None:
    """Read one item with its vectors."""
    row = connection.execute(
        f"SELECT {_FIELDS}, {_VECTORS} FROM items WHERE tenant = ? AND item_id = ?", (tenant, item_id)
    ).fetchone()
    return _record(row) if row else None


def page(connection: sqlite3.Connection, tenant: str, after: str, limit: int, with_vectors: bool) -> list[ItemRecord]:
    """Read the items that follow `after`."""
    columns = f"{_FIELDS}, {_VECTORS}" if with_vectors else _FIELDS
    rows = connection.execute(
        f"SELECT {columns} FROM items WHERE tenant = ? AND item_id > ? ORDER BY item_id LIMIT ?",
        (tenant, after, limit),
    )
    return [_record(row) for row in rows]


def _record(row: Sequence[Any]) -> ItemRecord:
    item_id, title, description, tags, maturity_age, release_year, picture_labels, update_time = row[:8]
    return ItemRecord(
        item_id,
        title,
        description,
        _strings(tags),
        maturity_age,
        release_year,
        _strings(picture_labels),
        update_time,
        _vector(*row[8:11]) if len(row) > 8 else None,
        _vector(*row[11:14]) if len(row) > 8 else None,
    )


def _strings(packed: str) -> tuple[str, ...]:
    return () if packed == "[]" else tuple(json.loads(packed))


def _vector(values: bytes | None, model: str, version: str) -> ItemVector | None:
    return None if values is None else ItemVector(values, model, version)


def _vector_columns(vector: ItemVector | None) -> tuple[bytes | None, str | None, str | None]:
    return (None, None, None) if vector is None else (vector.values, vector.model, vector.version)
