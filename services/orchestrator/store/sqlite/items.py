# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Statements on the catalogue."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from services.orchestrator.store.packing import (
    pack_availability,
    pack_strings,
    unpack_availability,
    unpack_strings,
    unpack_vector,
    vector_columns,
)
from services.orchestrator.store.records import (
    DescribedPicture,
    ItemChanges,
    ItemRecord,
    ItemVector,
    ItemWrite,
    UpsertCounts,
)
from services.orchestrator.store.sqlite import counters

_FIELDS = (
    "item_id, title, description, tags, maturity_age, release_year, picture_labels, update_time, picture_uri, locale,"
    " availability, change_sequence"
)
_FIELD_COUNT = 12
_VECTORS = "text_vector, text_model, text_version, picture_vector, picture_model, picture_version"
_WRITTEN = (
    "change_sequence, last_change, update_time, maturity_age, release_year, title, tags, description, picture_uri,"
    " locale, availability"
)
_INSERT = (
    f"INSERT INTO items (tenant, item_id, text_vector_stale, picture_labels, {_WRITTEN})"
    " VALUES (?, ?, 1, '[]', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = f"UPDATE items SET ({_WRITTEN}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE tenant = ? AND item_id = ?"


def upsert(connection: sqlite3.Connection, tenant: str, items: Sequence[ItemWrite], now: int) -> UpsertCounts:
    """Create or replace items; part of a write."""
    revision = counters.next_catalog_sequence(connection, tenant)
    created = sum(_write(connection, tenant, item, revision, now) for item in items)
    counters.add_items(connection, tenant, created)
    return UpsertCounts(created, len(items) - created)


def replace(connection: sqlite3.Connection, tenant: str, item: ItemWrite, expected_revision: int, now: int) -> bool:
    """Replace an item whose revision is the expected one; part of a write."""
    row = connection.execute(
        "SELECT change_sequence FROM items WHERE tenant = ? AND item_id = ?", (tenant, item.item_id)
    ).fetchone()
    if row is None or row[0] != expected_revision:
        return False
    _write(connection, tenant, item, counters.next_catalog_sequence(connection, tenant), now)
    return True


def _write(connection: sqlite3.Connection, tenant: str, item: ItemWrite, revision: int, now: int) -> bool:
    """Write one item; returns whether it is new."""
    tags = pack_strings(item.tags)
    row = connection.execute(
        "SELECT title = ? AND description = ? AND tags = ? FROM items WHERE tenant = ? AND item_id = ?",
        (item.title, item.description, tags, tenant, item.item_id),
    ).fetchone()
    written = (
        revision,
        revision,
        now,
        item.maturity_age,
        item.release_year,
        item.title,
        tags,
        item.description,
        item.picture_uri,
        item.locale,
        pack_availability(item.availability),
    )
    if row is None:
        connection.execute(_INSERT, (tenant, item.item_id, *written))
        connection.execute("DELETE FROM item_deletions WHERE tenant = ? AND item_id = ?", (tenant, item.item_id))
    else:
        connection.execute(_UPDATE, (*written, tenant, item.item_id))
    same_text = row is not None and bool(row[0])
    if item.text_vector is not None or not same_text:
        vector = item.text_vector
        set_text_vector(connection, tenant, item.item_id, vector, revision, stale=vector is None)
    if item.picture is not None:
        _replace_picture(connection, tenant, item, revision)
    return row is None


def set_text_vector(
    connection: sqlite3.Connection, tenant: str, item_id: str, vector: ItemVector | None, change: int, *, stale: bool
) -> None:
    """Store or clear an item's text vector; `stale` makes it wait for one. Part of a write."""
    connection.execute(
        "UPDATE items SET text_vector_stale = ?, text_vector = ?, text_model = ?, text_version = ?, last_change = ?"
        " WHERE tenant = ? AND item_id = ?",
        (int(stale), *vector_columns(vector), change, tenant, item_id),
    )


def set_picture(
    connection: sqlite3.Connection, tenant: str, item_id: str, picture: DescribedPicture | None, change: int
) -> None:
    """Store or clear what an item's picture shows, and forget a picture that waits. Part of a write."""
    connection.execute("DELETE FROM pending_pictures WHERE tenant = ? AND item_id = ?", (tenant, item_id))
    connection.execute(
        "UPDATE items SET picture_labels = ?, picture_vector = ?, picture_model = ?, picture_version = ?,"
        " last_change = ? WHERE tenant = ? AND item_id = ?",
        (
            pack_strings(picture.labels if picture else ()),
            *vector_columns(picture.vector if picture else None),
            change,
            tenant,
            item_id,
        ),
    )


def _replace_picture(connection: sqlite3.Connection, tenant: str, item: ItemWrite, revision: int) -> None:
    if isinstance(item.picture, DescribedPicture):
        set_picture(connection, tenant, item.item_id, item.picture, revision)
    elif item.picture is not None:
        set_picture(connection, tenant, item.item_id, None, revision)
        connection.execute(
            "INSERT INTO pending_pictures (tenant, item_id, change_sequence, content_type, content)"
            " VALUES (?, ?, ?, ?, ?)",
            (tenant, item.item_id, revision, item.picture.content_type, item.picture.content),
        )


def delete(connection: sqlite3.Connection, tenant: str, item_id: str, now: int) -> bool:
    """Delete an item and remember that; a picture that waits goes with it. Part of a write."""
    found = connection.execute("DELETE FROM items WHERE tenant = ? AND item_id = ?", (tenant, item_id)).rowcount > 0
    if found:
        sequence = counters.next_catalog_sequence(connection, tenant)
        counters.add_items(connection, tenant, -1)
        connection.execute(
            "INSERT INTO item_deletions (tenant, item_id, change_sequence, delete_time) VALUES (?, ?, ?, ?)",
            (tenant, item_id, sequence, now),
        )
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


def changes(connection: sqlite3.Connection, tenant: str, after: int, limit: int) -> ItemChanges | None:
    """Read what changed after a state of the catalogue; None when that cannot be told."""
    connection.execute("BEGIN")  # the reads below see one state of the database
    try:
        state = connection.execute(
            "SELECT catalog_sequence, deletions_forgotten FROM tenant_counters WHERE tenant = ?", (tenant,)
        ).fetchone()
        if state is None:
            return ItemChanges((), (), 0) if after == 0 else None
        sequence, forgotten = state
        if after < forgotten or after > sequence:
            return None
        rows = connection.execute(
            f"SELECT {_FIELDS}, {_VECTORS} FROM items WHERE tenant = ? AND last_change > ? ORDER BY last_change"
            " LIMIT ?",
            (tenant, after, limit + 1),
        ).fetchall()
        deleted = connection.execute(
            "SELECT item_id FROM item_deletions WHERE tenant = ? AND change_sequence > ? LIMIT ?",
            (tenant, after, limit + 1),
        ).fetchall()
    finally:
        connection.execute("COMMIT")
    if len(rows) + len(deleted) > limit:
        return None
    return ItemChanges(tuple(map(_record, rows)), tuple(item_id for (item_id,) in deleted), sequence)


def _record(row: Sequence[Any]) -> ItemRecord:
    item_id, title, description, tags, maturity_age, release_year, labels, update_time = row[:8]
    picture_uri, locale, availability, revision = row[8:_FIELD_COUNT]
    vectors = row[_FIELD_COUNT:]
    return ItemRecord(
        item_id,
        title,
        description,
        unpack_strings(tags),
        maturity_age,
        release_year,
        unpack_strings(labels),
        update_time,
        unpack_vector(*vectors[:3]) if vectors else None,
        unpack_vector(*vectors[3:]) if vectors else None,
        picture_uri,
        locale,
        unpack_availability(availability),
        revision,
    )
