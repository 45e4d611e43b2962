# ruff: noqa: S608  # names of tables are made of numbers here; values are always bound
"""The months of events: a partition each, made ahead of time and dropped whole when all of it has outlived its time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from services.orchestrator.store.migrations import SCHEMA_LOCK
from services.orchestrator.store.postgres import counters
from services.orchestrator.store.postgres.connections import PLAN_FREELY, Connection
from services.orchestrator.store.postgres.counters import NOW

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"events_(\d{4})_(\d{2})")
_EXISTING = """
SELECT child.relname, link.inhrelid IS NOT NULL, coalesce(link.inhdetachpending, false)
FROM pg_class AS parent
JOIN pg_class AS child ON child.relnamespace = parent.relnamespace AND child.relkind = 'r'
    AND child.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
LEFT JOIN pg_inherits AS link ON link.inhrelid = child.oid AND link.inhparent = parent.oid
WHERE parent.oid = 'events'::regclass
ORDER BY child.relname
"""


class Month(NamedTuple):
    """A calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, time: int) -> Month:
        """Return the month of a time in microseconds since 1970."""
        moment = _EPOCH + timedelta(microseconds=time)
        return cls(moment.year, moment.month)

    def following(self) -> Month:
        """Return the next month."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def start(self) -> int:
        """Its first microsecond since 1970."""
        return (datetime(self.year, self.month, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

    @property
    def table(self) -> str:
        """Name of its partition."""
        return f"events_{self.year:04}_{self.month:02}"


class Partition(NamedTuple):
    """The table of a month: not `attached` when dropping it was interrupted, `pending` when detaching it was."""

    month: Month
    attached: bool
    pending: bool


async def existing(connection: Connection) -> list[Partition]:
    """Read which months there are, oldest first."""
    found: list[Partition] = []
    for name, attached, pending in await connection.fetch(_EXISTING):
        match = _NAME.fullmatch(name)
        assert match is not None
        found.append(Partition(Month(int(match[1]), int(match[2])), attached, pending))
    return found


async def prepare(connection: Connection) -> None:
    """Create the partitions of this month and the next one where they are missing; part of a write.

    Readers and writers go on meanwhile: unlike creating a partition in place, attaching one does not lock them out.
    """
    this = Month.of(await connection.fetchval(f"SELECT {NOW}"))
    needed = (this, this.following())
    if set(needed) <= await _attached(connection):
        return
    await connection.execute(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")  # others may do the same just now
    there = {partition.month: partition for partition in await existing(connection)}
    for month in needed:
        partition = there.get(month)
        if partition is None:
            await connection.execute(f"CREATE TABLE {month.table} (LIKE events INCLUDING DEFAULTS)")
        if partition is None or not partition.attached:
            await connection.execute(
                f"ALTER TABLE events ATTACH PARTITION {month.table}"
                f" FOR VALUES FROM ({month.start}) TO ({month.following().start})"
            )


async def outlived(connection: Connection, before: int) -> list[Partition]:
    """Read the months that lie wholly before a time, oldest first."""
    return [partition for partition in await existing(connection) if partition.month.following().start <= before]


async def detach(connection: Connection, partition: Partition) -> None:
    """Take a month out of the events without locking anybody out; runs outside of a transaction."""
    if partition.attached:
        how = "FINALIZE" if partition.pending else "CONCURRENTLY"
        await connection.execute(f"ALTER TABLE events DETACH PARTITION {partition.month.table} {how}")


async def drop(connection: Connection, month: Month) -> int:
    """Drop a detached month and return how many events that were; part of a write."""
    await connection.execute(PLAN_FREELY)
    rows = await connection.fetch(f"SELECT tenant, count(*) FROM {month.table} GROUP BY tenant")
    await count_out(connection, dict(rows))
    await connection.execute(f"DROP TABLE {month.table}")
    return sum(count for _, count in rows)


async def delete_before(connection: Connection, before: int, limit: int) -> int:
    """Delete up to `limit` events from the month that only a part of has outlived its time; part of a write."""
    month = Month.of(before)
    if month not in await _attached(connection):
        return 0
    await connection.execute(PLAN_FREELY)
    piece = await connection.fetch(
        f"SELECT tenant, sequence, receive_time FROM {month.table} WHERE receive_time < $1 LIMIT $2", before, limit
    )
    if not piece:
        return 0
    # The locks first, as in every write; another one may have deleted some of these meanwhile.
    await _lock(connection, {tenant for tenant, _, _ in piece})
    rows = await connection.fetch(
        f"WITH gone AS (DELETE FROM {month.table} AS old USING unnest($1::text[], $2::bigint[], $3::bigint[])"
        " AS piece (tenant, sequence, receive_time) WHERE old.tenant = piece.tenant AND old.sequence = piece.sequence"
        " AND old.receive_time = piece.receive_time RETURNING old.tenant)"
        " SELECT tenant, count(*) FROM gone GROUP BY tenant",
        *map(list, zip(*piece, strict=True)),
    )
    await count_out(connection, dict(rows))
    return len(piece)


async def count_out(connection: Connection, counts: dict[str, int]) -> None:
    """Take deleted events out of the tenants' numbers; part of a write."""
    await _lock(connection, set(counts))
    await connection.execute(
        "UPDATE tenant_counters SET event_count = event_count - gone.count"
        " FROM unnest($1::text[], $2::bigint[]) AS gone (tenant, count) WHERE tenant_counters.tenant = gone.tenant",
        list(counts),
        list(counts.values()),
    )


async def _lock(connection: Connection, tenants: set[str]) -> None:
    for tenant in counters.in_lock_order(tenants):
        await counters.lock(connection, tenant)


async def _attached(connection: Connection) -> set[Month]:
    return {partition.month for partition in await existing(connection) if partition.attached and not partition.pending}
