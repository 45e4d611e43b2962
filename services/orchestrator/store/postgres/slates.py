# ruff: noqa: S608  # the statements are put together from constants of this file; values are always bound
"""Statements on the lists that were served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.orchestrator.store.packing import pack_strings, unpack_strings
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.postgres.counters import NOW
from services.orchestrator.store.records import Slate

_COLUMNS = "slate_id, user_id, surface, create_time, expire_time, bundle_version, arm, item_ids, propensities, content"
_STORE = f"""
INSERT INTO slates (tenant, {_COLUMNS})
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
                         $9::text[], $10::bytea[], $11::bytea[])
"""


async def write(connection: Connection, tenant: str, slates: Sequence[Slate]) -> list[None]:
    """Store lists; part of a write. Nothing else changes a list, so the tenant's lock is not needed."""
    await connection.execute(
        _STORE,
        tenant,
        [slate.slate_id for slate in slates],
        [slate.user_id for slate in slates],
        [slate.surface for slate in slates],
        [slate.create_time for slate in slates],
        [slate.expire_time for slate in slates],
        [slate.bundle_version for slate in slates],
        [slate.arm for slate in slates],
        [pack_strings(slate.item_ids) for slate in slates],
        [slate.propensities for slate in slates],
        [slate.content for slate in slates],
    )
    return [None] * len(slates)


async def get(connection: Connection, tenant: str, slate_id: str) -> Slate | None:
    """Read a list that has not expired."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM slates WHERE tenant = $1 AND slate_id = $2 AND expire_time > {NOW}", tenant, slate_id
    )
    return _slate(row) if row else None


async def of_user(
    connection: Connection, tenant: str, user_id: str, limit: int, before: tuple[int, str] | None
) -> list[Slate]:
    """Read a user's lists that have not expired, newest first."""
    older = "AND (create_time, slate_id) < ($4, $5)" if before else ""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM slates WHERE tenant = $1 AND user_id = $2 AND expire_time > {NOW} {older}"
        " ORDER BY create_time DESC, slate_id DESC LIMIT $3",
        tenant,
        user_id,
        limit,
        *(before or ()),
    )
    return [_slate(row) for row in rows]


def _slate(row: Any) -> Slate:
    return Slate(**(dict(row) | {"item_ids": unpack_strings(row["item_ids"])}))
