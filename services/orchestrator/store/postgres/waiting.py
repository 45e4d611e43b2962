"""Statements on what waits for a model service: texts without a vector, pictures that nobody has looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.orchestrator.store.packing import unpack_strings
from services.orchestrator.store.postgres import counters, item_writes
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import (
    PictureUpdate,
    TextVectorUpdate,
    UndescribedPicture,
    WaitingPicture,
    WaitingText,
)

Update = TypeVar("Update", TextVectorUpdate, PictureUpdate)

_TEXT_WAITS = (
    "SELECT 1 FROM items WHERE tenant = $1 AND item_id = $2 AND change_sequence = $3 AND text_vector_stale = 1"
)
_PICTURE_WAITS = "SELECT 1 FROM pending_pictures WHERE tenant = $1 AND item_id = $2 AND change_sequence = $3"


async def texts(connection: Connection, limit: int) -> list[WaitingText]:
    """Read items whose text has no vector."""
    rows = await connection.fetch(
        "SELECT tenant, item_id, change_sequence, title, description, tags FROM items"
        " WHERE text_vector_stale = 1 ORDER BY tenant, item_id LIMIT $1",
        limit,
    )
    return [
        WaitingText(tenant, item_id, revision, title, description, unpack_strings(tags))
        for tenant, item_id, revision, title, description, tags in rows
    ]


async def set_text_vectors(connection: Connection, updates: Sequence[TextVectorUpdate]) -> int:
    """Store vectors of items that were not written since; part of a write."""

    async def store(update: TextVectorUpdate, change: int) -> None:
        await item_writes.set_text_vector(connection, update.tenant, update.item_id, update.vector, change)

    return await _update(connection, updates, _TEXT_WAITS, store)


async def pictures(connection: Connection, limit: int) -> list[WaitingPicture]:
    """Read pictures that are not described, oldest first."""
    rows = await connection.fetch(
        "SELECT tenant, item_id, change_sequence, content, content_type FROM pending_pictures"
        " ORDER BY change_sequence, tenant, item_id LIMIT $1",
        limit,
    )
    return [
        WaitingPicture(tenant, item_id, revision, UndescribedPicture(content, content_type))
        for tenant, item_id, revision, content, content_type in rows
    ]


async def set_pictures(connection: Connection, updates: Sequence[PictureUpdate]) -> int:
    """Store what pictures show, unless a newer one came since; part of a write."""

    async def store(update: PictureUpdate, change: int) -> None:
        await item_writes.set_picture(connection, update.tenant, update.item_id, update.described, change)

    return await _update(connection, updates, _PICTURE_WAITS, store)


async def _update(
    connection: Connection,
    updates: Sequence[Update],
    still_waits: str,
    store: Callable[[Update, int], Awaitable[None]],
) -> int:
    changed = 0
    for tenant in counters.in_lock_order(update.tenant for update in updates):
        change = (await counters.lock(connection, tenant)).catalog_sequence + 1
        before = changed
        for update in updates:
            if update.tenant == tenant and await connection.fetchrow(
                still_waits, tenant, update.item_id, update.revision
            ):
                await store(update, change)
                changed += 1
        if changed > before:
            await counters.next_catalog_sequence(connection, tenant)
    return changed
