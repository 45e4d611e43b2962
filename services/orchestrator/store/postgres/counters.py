"""The row of numbers that each tenant has, which is also the lock that puts the tenant's writes in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.orchestrator.store.postgres.connections import Connection
from services.orchestrator.store.records import CatalogState, EventTotals

CATALOG_CHANNEL = "marquee_catalog"
"""What `Store.watch_catalog` listens to; the payload is the tenant."""

NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""The database's clock, which all replicas share."""

_LOCK = (
    f"SELECT catalog_sequence, event_sequence, event_count, {NOW}"  # noqa: S608  # constants only
    " FROM tenant_counters WHERE tenant = $1 FOR UPDATE"
)


class Counters(NamedTuple):
    """A tenant's numbers; `now` is the time of the write, in microseconds since 1970."""

    catalog_sequence: int
    event_sequence: int
    event_count: int
    now: int


async def lock(connection: Connection, tenant: str) -> Counters:
    """Take the tenant's lock until the transaction ends; part of a write.

    Every write takes it before it touches anything else of the tenant, and a write of several tenants takes their locks
    in the order of `in_lock_order`. So no two writes wait for each other, and sequence numbers rise in the order of
    the commits.
    """
    row = await connection.fetchrow(_LOCK, tenant)
    if row is None:
        await connection.execute("INSERT INTO tenant_counters (tenant) VALUES ($1) ON CONFLICT DO NOTHING", tenant)
        row = await connection.fetchrow(_LOCK, tenant)
    return Counters(*row)


def in_lock_order(tenants: Iterable[str]) -> list[str]:
    """Return the tenants, each once, in the order in which their locks must be taken."""
    return sorted(set(tenants), key=str.encode)


async def next_catalog_sequence(connection: Connection, tenant: str, created: int = 0) -> int:
    """Count a change of the catalogue, with items created (positive) or deleted (negative), tell those who watch, and
    return the number of the change; part of a write.
    """
    row = await connection.fetchrow(
        "UPDATE tenant_counters SET catalog_sequence = catalog_sequence + 1, item_count = item_count + $2"
        " WHERE tenant = $1 RETURNING catalog_sequence, pg_notify($3, $1)",
        tenant,
        created,
        CATALOG_CHANNEL,
    )
    return int(row[0])


async def catalog_state(connection: Connection, tenant: str) -> CatalogState:
    """Read the catalogue's change counter and size."""
    row = await connection.fetchrow(
        "SELECT catalog_sequence, item_count FROM tenant_counters WHERE tenant = $1", tenant
    )
    return CatalogState(*row) if row else CatalogState(0, 0)


async def event_totals(connection: Connection, tenant: str) -> EventTotals:
    """Read the number of events and the highest sequence number."""
    row = await connection.fetchrow("SELECT event_count, event_sequence FROM tenant_counters WHERE tenant = $1", tenant)
    return EventTotals(*row) if row else EventTotals(0, 0)
