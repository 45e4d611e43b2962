"""Creates and replaces items, a batch a statement."""

from __future__ import annotations

from collections.abc import Sequence

from services.orchestrator.store.packing import pack_availability, pack_strings, vector_columns
from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import (
    DescribedPicture,
    ItemVector,
    ItemWrite,
    UndescribedPicture,
    UpsertCounts,
)

# A vector that is not given is kept where the text stays the same; otherwise the item waits for one.
_SAME_TEXT = (
    "excluded.text_vector IS NULL AND old.title = excluded.title AND old.description = excluded.description"
    " AND old.tags = excluded.tags"
)
# The limits make each id a look-up of its own, whatever the planner believes about the table's size.
_UPSERT = f"""
WITH new AS (
    SELECT * FROM unnest($4::text[], $5::int[], $6::int[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
                         $12::text[], $13::bytea[], $14::text[], $15::text[])
        AS new (item_id, maturity_age, release_year, title, tags, description, picture_uri, locale, availability,
                text_vector, text_model, text_version)
), found AS (
    SELECT 1 FROM unnest($4::text[]) AS asked (item_id) CROSS JOIN LATERAL (
        SELECT 1 FROM items WHERE tenant = $1 AND items.item_id = asked.item_id LIMIT 1
    ) AS there
), written AS (
    INSERT INTO items AS old (tenant, item_id, change_sequence, last_change, update_time, maturity_age, release_year,
                              text_vector_stale, title, tags, picture_labels, description, picture_uri, locale,
                              availability, text_vector, text_model, text_version)
    SELECT $1, item_id, $2, $2, $3, maturity_age, release_year, (text_vector IS NULL)::int, title, tags, '[]',
           description, picture_uri, locale, availability, text_vector, text_model, text_version
    FROM new
    ON CONFLICT (tenant, item_id) DO UPDATE SET
        change_sequence = excluded.change_sequence, last_change = excluded.last_change,
        update_time = excluded.update_time, maturity_age = excluded.maturity_age,
        release_year = excluded.release_year, title = excluded.title, tags = excluded.tags,
        description = excluded.description, picture_uri = excluded.picture_uri, locale = excluded.locale,
        availability = excluded.availability,
        text_vector_stale = CASE WHEN {_SAME_TEXT} THEN old.text_vector_stale ELSE excluded.text_vector_stale END,
        text_vector = CASE WHEN {_SAME_TEXT} THEN old.text_vector ELSE excluded.text_vector END,
        text_model = CASE WHEN {_SAME_TEXT} THEN old.text_model ELSE excluded.text_model END,
        text_version = CASE WHEN {_SAME_TEXT} THEN old.text_version ELSE excluded.text_version END
), back AS (
    DELETE FROM item_deletions WHERE ctid = ANY(ARRAY(
        SELECT place FROM unnest($4::text[]) AS asked (item_id) CROSS JOIN LATERAL (
            SELECT ctid AS place FROM item_deletions AS gone
            WHERE gone.tenant = $1 AND gone.item_id = asked.item_id LIMIT 1
        ) AS there
    ))
)
SELECT count(*) FROM found
"""  # noqa: S608  # constants only


async def upsert(connection: Connection, tenant: str, items: Sequence[ItemWrite]) -> UpsertCounts:
    """Create or replace items; part of a write."""
    known = await counters.lock(connection, tenant)
    revision = known.catalog_sequence + 1
    found = await _write(connection, tenant, items, revision, known.now)
    created = len(items) - found
    await counters.next_catalog_sequence(connection, tenant, created)
    return UpsertCounts(created, found)


async def replace(connection: Connection, tenant: str, item: ItemWrite, expected_revision: int) -> bool:
    """Replace an item whose revision is the expected one; part of a write."""
    known = await counters.lock(connection, tenant)
    revision = await connection.fetchval(
        "SELECT change_sequence FROM items WHERE tenant = $1 AND item_id = $2", tenant, item.item_id
    )
    if revision != expected_revision:
        return False
    await _write(connection, tenant, [item], known.catalog_sequence + 1, known.now)
    await counters.next_catalog_sequence(connection, tenant)
    return True


async def set_text_vector(
    connection: Connection, tenant: str, item_id: str, vector: ItemVector | None, change: int
) -> None:
    """Store the vector that an item waited for, or give it up; part of a write."""
    await connection.execute(
        "UPDATE items SET text_vector_stale = 0, text_vector = $3, text_model = $4, text_version = $5, last_change = $6"
        " WHERE tenant = $1 AND item_id = $2",
        tenant,
        item_id,
        *vector_columns(vector),
        change,
    )


async def set_picture(
    connection: Connection, tenant: str, item_id: str, picture: DescribedPicture | None, change: int
) -> None:
    """Store or clear what an item's picture shows, and forget a picture that waits. Part of a write."""
    await connection.execute("DELETE FROM pending_pictures WHERE tenant = $1 AND item_id = $2", tenant, item_id)
    await connection.execute(
        "UPDATE items SET picture_labels = $3, picture_vector = $4, picture_model = $5, picture_version = $6,"
        " last_change = $7 WHERE tenant = $1 AND item_id = $2",
        tenant,
        item_id,
        pack_strings(picture.labels if picture else ()),
        *vector_columns(picture.vector if picture else None),
        change,
    )


async def _write(connection: Connection, tenant: str, items: Sequence[ItemWrite], revision: int, now: int) -> int:
    vectors = [vector_columns(item.text_vector) for item in items]
    found: int = await connection.fetchval(
        _UPSERT,
        tenant,
        revision,
        now,
        [item.item_id for item in items],
        [item.maturity_age for item in items],
        [item.release_year for item in items],
        [item.title for item in items],
        [pack_strings(item.tags) for item in items],
        [item.description for item in items],
        [item.picture_uri for item in items],
        [item.locale for item in items],
        [pack_availability(item.availability) for item in items],
        [values for values, _, _ in vectors],
        [model for _, model, _ in vectors],
        [version for _, _, version in vectors],
    )
    for item in items:
        if isinstance(item.picture, DescribedPicture):
            await set_picture(connection, tenant, item.item_id, item.picture, revision)
        elif item.picture is not None:
            await _keep_picture(connection, tenant, item.item_id, item.picture, revision)
    return found


async def _keep_picture(
    connection: Connection, tenant: str, item_id: str, picture: UndescribedPicture, revision: int
) -> None:
    await set_picture(connection, tenant, item_id, None, revision)
    await connection.execute(
        "INSERT INTO pending_pictures (tenant, item_id, change_sequence, content_type, content)"
        " VALUES ($1, $2, $3, $4, $5)",
        tenant,
        item_id,
        revision,
        picture.content_type,
        picture.content,
    )
