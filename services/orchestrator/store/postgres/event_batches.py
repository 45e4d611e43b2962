"""The write of events: exactly once by their receipts, in the order of the commits, many batches a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from services.orchestrator.store.digests import content_digest, identifier_digest
from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.postgres.failures import MissingPartition
from services.orchestrator.store.records import EventWrite, WriteCounts

# The limit makes each digest a look-up of its own, whatever the planner believes about the table's size.
_KNOWN = """
SELECT true, digest, content_digest, 0::bigint FROM unnest($2::bytea[]) AS asked (digest) CROSS JOIN LATERAL (
    SELECT content_digest FROM event_receipts WHERE tenant = $1 AND event_digest = asked.digest LIMIT 1
) AS received
UNION ALL
SELECT false, digest, NULL, erase_time FROM unnest($3::bytea[]) AS asked (digest) CROSS JOIN LATERAL (
    SELECT erase_time FROM erased_users WHERE tenant = $1 AND user_digest = asked.digest LIMIT 1
) AS erased
"""
_STORE = """
WITH stored AS (
    INSERT INTO events (tenant, sequence, event_id, user_id, item_id, kind, weight, event_time, receive_time,
                        watched_fraction, rating, slate_id, position)
    SELECT $1, $2 + place, event_id, user_id, item_id, kind, weight, event_time, $3, fraction, rating, slate_id,
           position
    FROM unnest($4::text[], $5::text[], $6::text[], $7::int[], $8::float8[], $9::bigint[], $10::float8[],
                $11::float8[], $12::text[], $13::int[]) WITH ORDINALITY
        AS new (event_id, user_id, item_id, kind, weight, event_time, fraction, rating, slate_id, position, place)
), received AS (
    INSERT INTO event_receipts (tenant, event_digest, content_digest, receive_time)
    SELECT $1, event_digest, content_digest, $3
    FROM unnest($14::bytea[], $15::bytea[]) AS new (event_digest, content_digest)
), counted AS (
    INSERT INTO item_statistics AS old (tenant, item_id, event_count, positive_weight, last_event_time)
    SELECT $1, item_id, count(*), sum(greatest(weight, 0)), max(event_time)
    FROM unnest($6::text[], $8::float8[], $9::bigint[]) AS new (item_id, weight, event_time)
    GROUP BY item_id
    ON CONFLICT (tenant, item_id) DO UPDATE SET
        event_count = old.event_count + excluded.event_count,
        positive_weight = old.positive_weight + excluded.positive_weight,
        last_event_time = greatest(old.last_event_time, excluded.last_event_time)
)
UPDATE tenant_counters
SET event_sequence = event_sequence + cardinality($4::text[]), event_count = event_count + cardinality($4::text[])
WHERE tenant = $1
"""


@dataclass(frozen=True)
class Batch:
    """The events of one call, with the digests that the receipts are made of."""

    events: Sequence[EventWrite]
    event_digests: Sequence[bytes]
    content_digests: Sequence[bytes]

    @classmethod
    def of(cls, events: Sequence[EventWrite]) -> Batch:
        """Work out the digests."""
        return cls(
            events, [identifier_digest(event.event_id) for event in events], [content_digest(event) for event in events]
        )


async def write(connection: Connection, tenant: str, batches: Sequence[Batch]) -> list[WriteCounts]:
    """Store the events that are new, batch after batch, and count them in the statistics; part of a write.

    Raises:
        MissingPartition: no partition takes events of now.
    """
    known = await counters.lock(connection, tenant)
    selection = _Selection(*await _read_known(connection, tenant, batches))
    counts = [selection.add(batch) for batch in batches]
    if selection.events:
        try:
            await connection.execute(_STORE, tenant, known.event_sequence, known.now, *selection.columns())
        except asyncpg.CheckViolationError as error:
            raise MissingPartition from error
    return counts


async def _read_known(
    connection: Connection, tenant: str, batches: Sequence[Batch]
) -> tuple[dict[bytes, bytes | None], dict[str, int]]:
    digests = list({digest for batch in batches for digest in batch.event_digests})
    users = {identifier_digest(user): user for user in {event.user_id for batch in batches for event in batch.events}}
    receipts: dict[bytes, bytes | None] = {}
    erased: dict[str, int] = {}
    for is_receipt, digest, content, erase_time in await connection.fetch(_KNOWN, tenant, digests, list(users)):
        if is_receipt:
            receipts[digest] = content
        else:
            erased[users[digest]] = erase_time
    return receipts, erased


class _Selection:
    """Tells new events from those that the store has and from those of erased users.

    Args:
        receipts: content digest by event digest of what is stored; None where it is not known.
        erased: when users were erased.
    """

    def __init__(self, receipts: dict[bytes, bytes | None], erased: dict[str, int]) -> None:
        self._receipts = receipts
        self._erased = erased
        self.events: list[EventWrite] = []
        self._event_digests: list[bytes] = []
        self._content_digests: list[bytes] = []

    def add(self, batch: Batch) -> WriteCounts:
        """Take in what is new of a batch."""
        before, erased = len(self.events), 0
        conflicts: list[str] = []
        for event, digest, content in zip(batch.events, batch.event_digests, batch.content_digests, strict=True):
            if digest in self._receipts:
                first = self._receipts[digest]
                if first is not None and first != content:
                    conflicts.append(event.event_id)
            elif event.event_time <= self._erased.get(event.user_id, event.event_time - 1):
                erased += 1
            else:
                self._receipts[digest] = content
                self.events.append(event)
                self._event_digests.append(digest)
                self._content_digests.append(content)
        written = len(self.events) - before
        return WriteCounts(written, len(batch.events) - written - erased, tuple(conflicts), erased)

    def columns(self) -> tuple[Sequence[object], ...]:
        """Return the new events by column, as the statement takes them."""
        events = self.events
        return (
            [event.event_id for event in events],
            [event.user_id for event in events],
            [event.item_id for event in events],
            [event.kind for event in events],
            [event.weight for event in events],
            [event.event_time for event in events],
            [event.watched_fraction for event in events],
            [event.rating for event in events],
            [event.slate_id for event in events],
            [event.position for event in events],
            self._event_digests,
            self._content_digests,
        )
