"""Deletes what has outlived its time, a bounded piece a call, by one process at a time."""

from __future__ import annotations

from services.orchestrator.store.postgres import counters, partitions
from services.orchestrator.store.postgres.connections import Connection, Server
from services.orchestrator.store.postgres.counters import NOW
from services.orchestrator.store.postgres.transactions import Transactions
from services.orchestrator.store.records import Maintenance, Retention

LOCK = 4_711_302
"""Advisory lock of the one process that maintains the database."""
_CONNECT_SECONDS = 2.0
PIECE = 10_000
"""Rows of one table that a call deletes at most; whole partitions count as none."""

_RECEIPTS = """
WITH gone AS (
    DELETE FROM event_receipts WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM event_receipts WHERE receive_time < $1 ORDER BY receive_time LIMIT $2
    )) RETURNING 1
) SELECT count(*) FROM gone
"""
_SLATES = """
WITH gone AS (
    DELETE FROM slates WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM slates WHERE expire_time <= $1 ORDER BY expire_time LIMIT $2
    )) RETURNING 1
) SELECT count(*) FROM gone
"""
# Those of processes that ended long ago.
_MARKS = "DELETE FROM commit_marks WHERE change_time < $1"
_MARK_LIFE = 86_400_000_000


async def maintain(server: Server, transactions: Transactions, retention: Retention) -> Maintenance:
    """Run one piece of each kind; nothing when another process is at it."""
    await transactions.run(partitions.prepare)
    connection = await server.connect(_CONNECT_SECONDS)
    try:
        now, alone = await connection.fetchrow(f"SELECT {NOW}, pg_try_advisory_lock({LOCK})")
        if not alone:
            return Maintenance(0, 0, 0, unfinished=False)
        events, unfinished = 0, False
        if retention.events is not None:
            events, unfinished = await _drop_events(connection, transactions, now - retention.events)
        receipts = await transactions.run(lambda write: write.fetchval(_RECEIPTS, now - retention.deduplication, PIECE))
        slates = await transactions.run(lambda write: write.fetchval(_SLATES, now, PIECE))
        deletions = await transactions.run(lambda write: _forget_deletions(write, now - retention.deletions))
        await transactions.run(lambda write: write.execute(_MARKS, now - _MARK_LIFE))
    finally:
        connection.terminate()  # and the lock is free
    return Maintenance(events, receipts, slates, unfinished or PIECE in (receipts, slates, deletions))


async def _drop_events(connection: Connection, transactions: Transactions, before: int) -> tuple[int, bool]:
    """Drop the oldest month that is over, or delete a piece of the one that is not; returns how many events went, and
    whether more are left.
    """
    months = await partitions.outlived(connection, before)
    if months:
        oldest = months[0]
        await partitions.detach(connection, oldest)
        return await transactions.run(lambda write: partitions.drop(write, oldest.month)), True
    count = await transactions.run(lambda write: partitions.delete_before(write, before, PIECE))
    return count, count == PIECE


async def _forget_deletions(connection: Connection, before: int) -> int:
    """Forget deleted items, and note up to which state of the catalogue; returns how many. Part of a write."""
    rows = await connection.fetch(
        "SELECT tenant, item_id, change_sequence FROM item_deletions WHERE delete_time < $1 LIMIT $2", before, PIECE
    )
    newest: dict[str, int] = {}
    for tenant, _, sequence in rows:
        newest[tenant] = max(sequence, newest.get(tenant, 0))
    for tenant in counters.in_lock_order(newest):
        await counters.lock(connection, tenant)
        await connection.execute(
            "DELETE FROM item_deletions WHERE tenant = $1 AND change_sequence <= $2", tenant, newest[tenant]
        )
        await connection.execute(
            "UPDATE tenant_counters SET deletions_forgotten = greatest(deletions_forgotten, $2) WHERE tenant = $1",
            tenant,
            newest[tenant],
        )
    return len(rows)
