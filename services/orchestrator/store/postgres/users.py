"""Erases users, in pieces, so that a user with a million events holds nobody up."""

from __future__ import annotations

from typing import NamedTuple

from services.orchestrator.store.digests import identifier_digest
from services.orchestrator.store.postgres import counters, settings
from services.orchestrator.store.postgres.connections import PLAN_FREELY, Connection

PIECE = 10_000
"""Events that one transaction erases at most."""

_DELETE = """
DELETE FROM events USING (
    SELECT sequence, receive_time FROM events WHERE tenant = $1 AND user_id = $2 AND sequence <= $3
    ORDER BY event_time DESC LIMIT $4
) AS piece
WHERE tenant = $1 AND events.sequence = piece.sequence AND events.receive_time = piece.receive_time
RETURNING event_id, item_id, weight
"""
_TAKE_OUT = """
UPDATE item_statistics AS kept
SET event_count = kept.event_count - gone.count, positive_weight = greatest(0, kept.positive_weight - gone.weight)
FROM (
    SELECT item_id, count(*) AS count, sum(greatest(weight, 0)) AS weight
    FROM unnest($2::text[], $3::float8[]) AS events (item_id, weight) GROUP BY item_id
) AS gone
WHERE kept.tenant = $1 AND kept.item_id = gone.item_id
"""


class Erasure(NamedTuple):
    """An erasure that has begun: from `erase_time` on no older event of the user gets in any more."""

    erase_time: int
    last_sequence: int


async def begin(connection: Connection, tenant: str, user_id: str) -> Erasure:
    """Leave the tombstone and forget the settings; part of a write."""
    known = await counters.lock(connection, tenant)
    await settings.delete(connection, tenant, user_id)
    await connection.execute(
        "INSERT INTO erased_users (tenant, user_digest, erase_time) VALUES ($1, $2, $3)"
        " ON CONFLICT (tenant, user_digest) DO UPDATE SET erase_time = excluded.erase_time",
        tenant,
        identifier_digest(user_id),
        known.now,
    )
    return Erasure(known.now, known.event_sequence)


async def erase_events(connection: Connection, tenant: str, user_id: str, last_sequence: int) -> int:
    """Delete a piece of the user's events up to a sequence number, take them out of the statistics, and forget their
    content; returns how many. Part of a write.
    """
    await counters.lock(connection, tenant)
    await connection.execute(PLAN_FREELY)
    rows = await connection.fetch(_DELETE, tenant, user_id, last_sequence, PIECE)
    if not rows:
        return 0
    items = [item_id for _, item_id, _ in rows]
    await connection.execute(_TAKE_OUT, tenant, items, [weight for _, _, weight in rows])
    await connection.execute(
        "DELETE FROM item_statistics WHERE tenant = $1 AND item_id = ANY($2::text[]) AND event_count <= 0",
        tenant,
        list(set(items)),
    )
    await connection.execute(
        "UPDATE event_receipts SET content_digest = NULL WHERE tenant = $1 AND event_digest = ANY($2::bytea[])",
        tenant,
        [identifier_digest(event_id) for event_id, _, _ in rows],
    )
    await connection.execute(
        "UPDATE tenant_counters SET event_count = event_count - $2 WHERE tenant = $1", tenant, len(rows)
    )
    return len(rows)


async def erase_slates(connection: Connection, tenant: str, user_id: str) -> int:
    """Delete the lists that were served to the user; returns how many. Part of a write."""
    count: int = await connection.fetchval(
        "WITH gone AS (DELETE FROM slates WHERE tenant = $1 AND user_id = $2 RETURNING 1) SELECT count(*) FROM gone",
        tenant,
        user_id,
    )
    return count
