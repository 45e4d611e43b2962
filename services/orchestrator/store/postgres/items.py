# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Reads of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.orchestrator.store.packing import unpack_availability, unpack_strings, unpack_vector
from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import ItemChanges, ItemRecord

_FIELDS = (
    "item_id, title, description, tags, maturity_age, release_year, picture_labels, update_time, picture_uri, locale,"
    " availability, change_sequence"
)
_FIELD_COUNT = 12
_VECTORS = "text_vector, text_model, text_version, picture_vector, picture_model, picture_version"


async def get(connection: Connection, tenant: str, item_id: str) -> ItemRecord | None:
    """Read one item with its vectors."""
    row = await connection.fetchrow(
        f"SELECT {_FIELDS}, {_VECTORS} FROM items WHERE tenant = $1 AND item_id = $2", tenant, item_id
    )
    return record(row) if row else None


async def page(connection: Connection, tenant: str, after: str, limit: int, with_vectors: bool) -> list[ItemRecord]:
    """Read the items that follow `after`."""
    columns = f"{_FIELDS}, {_VECTORS}" if with_vectors else _FIELDS
    rows = await connection.fetch(
        f"SELECT {columns} FROM items WHERE tenant = $1 AND item_id > $2 ORDER BY item_id LIMIT $3",
        tenant,
        after,
        limit,
    )
    return [record(row) for row in rows]


async def changes(connection: Connection, tenant: str, after: int, limit: int) -> ItemChanges | None:
    """Read what changed after a state of the catalogue, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        state = await connection.fetchrow(
            "SELECT catalog_sequence, deletions_forgotten FROM tenant_counters WHERE tenant = $1", tenant
        )
        if state is None:
            return ItemChanges((), (), 0) if after == 0 else None
        sequence, forgotten = state
        if after < forgotten or after > sequence:
            return None
        rows = await connection.fetch(
            f"SELECT {_FIELDS}, {_VECTORS} FROM items WHERE tenant = $1 AND last_change > $2"
            " ORDER BY last_change LIMIT $3",
            tenant,
            after,
            limit + 1,
        )
        deleted = await connection.fetch(
            "SELECT item_id FROM item_deletions WHERE tenant = $1 AND change_sequence > $2 LIMIT $3",
            tenant,
            after,
            limit + 1,
        )
    if len(rows) + len(deleted) > limit:
        return None
    return ItemChanges(tuple(record(row) for row in rows), tuple(item_id for (item_id,) in deleted), sequence)


async def delete(connection: Connection, tenant: str, item_id: str) -> bool:
    """Delete an item and remember that; a picture that waits goes with it. Part of a write."""
    now = (await counters.lock(connection, tenant)).now
    found = await connection.fetchrow(
        "DELETE FROM items WHERE tenant = $1 AND item_id = $2 RETURNING 1", tenant, item_id
    )
    if found is None:
        return False
    sequence = await counters.next_catalog_sequence(connection, tenant, created=-1)
    await connection.execute(
        "INSERT INTO item_deletions (tenant, item_id, change_sequence, delete_time) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (tenant, item_id) DO UPDATE SET change_sequence = excluded.change_sequence,"
        " delete_time = excluded.delete_time",
        tenant,
        item_id,
        sequence,
        now,
    )
    return True


def record(row: Sequence[Any]) -> ItemRecord:
    """Return the item of a row of `_FIELDS`, with `_VECTORS` or without."""
    values = tuple(row)
    item_id, title, description, tags, maturity_age, release_year, labels, update_time = values[:8]
    picture_uri, locale, availability, revision = values[8:_FIELD_COUNT]
    vectors = values[_FIELD_COUNT:]
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
