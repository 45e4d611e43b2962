"""What is particular to the store on PostgreSQL: several replicas, group commit, partitions."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from services.orchestrator.store import open_store
from services.orchestrator.store.postgres import maintenance, partitions, users
from services.orchestrator.store.postgres.partitions import Month
from services.orchestrator.store.postgres.store import PostgresStore
from services.orchestrator.store.records import (
    EventTotals,
    Retention,
    TextVectorUpdate,
    WriteCounts,
)
from services.runtime.errors import ServiceError
from tests.support.postgres_fixtures import connected
from tests.unit.services.orchestrator.builders import event, eventually, item, vector

TENANT = "default"
DAY = 86_400_000_000
FOR_EVER = Retention(events=None, deduplication=30 * DAY, deletions=30 * DAY)


async def test_replicas_see_each_others_events_at_once(postgres_store: PostgresStore, postgres_url: str) -> None:
    other = await open_store(postgres_url)
    for number in range(20):
        writer, reader = (postgres_store, other) if number % 2 else (other, postgres_store)
        await writer.write_events(TENANT, [event(f"e{number}", item_id=f"i{number}", event_time=number)])
        state = await reader.recommendation_state(TENANT, "ann", 5)
        assert state.history[-1].item_id == f"i{number}"
        assert state.event_count == number + 1
    await other.close()


async def test_replicas_count_each_event_once_and_number_them_without_gaps(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    other = await open_store(postgres_url)
    batches = [[event(f"e{number % 400}") for number in range(start, start + 50)] for start in range(0, 1000, 25)]
    counts = await asyncio.gather(
        *((postgres_store, other)[index % 2].write_events(TENANT, batch) for index, batch in enumerate(batches))
    )
    assert sum(count.written for count in counts) == 400
    pages = [page async for page in postgres_store.export_events(TENANT, after_sequence=0, page_size=77)]
    assert [entry.sequence for page in pages for entry in page] == list(range(1, 401))
    await other.close()


async def test_calls_of_one_moment_share_a_transaction(postgres_store: PostgresStore) -> None:
    await asyncio.gather(*(postgres_store.write_events(TENANT, [event(f"e{number}")]) for number in range(200)))
    assert postgres_store.event_groups.write_count == 200
    assert postgres_store.event_groups.group_count < 20


async def test_a_call_that_cannot_be_stored_fails_alone(postgres_store: PostgresStore) -> None:
    writes = [postgres_store.write_events(TENANT, [event(f"e{number}")]) for number in range(5)]
    writes.append(postgres_store.write_events(TENANT, [event("bad", item_id="nul\0")]))
    *good, bad = await asyncio.gather(*writes, return_exceptions=True)
    assert good == [WriteCounts(1, 0)] * 5
    assert isinstance(bad, ServiceError)
    assert bad.reason == "STORE_FAILED"
    assert await postgres_store.event_totals(TENANT) == EventTotals(5, 5)


async def test_writes_over_several_tenants_never_lock_each_other_out(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    other = await open_store(postgres_url)
    tenants = [f"t{number}" for number in range(6)]
    for tenant in tenants:
        await postgres_store.upsert_items(tenant, [item("a")])

    async def vectors(store: PostgresStore, order: list[str]) -> None:
        for _ in range(15):
            updates = [TextVectorUpdate(tenant, "a", 1, vector(1)) for tenant in order]
            await store.set_text_vectors(updates)

    async def events(store: PostgresStore, name: str) -> None:
        for number in range(15):
            await asyncio.gather(
                *(store.write_events(tenant, [event(f"{name}{number}")]) for tenant in reversed(tenants))
            )

    second = cast("PostgresStore", other)
    await asyncio.gather(
        vectors(postgres_store, tenants),
        vectors(second, tenants[::-1]),
        events(postgres_store, "x"),
        events(second, "y"),
    )
    assert await postgres_store.event_totals("t3") == EventTotals(30, 30)
    await other.close()


async def test_this_month_and_the_next_have_partitions_from_the_start(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    assert await postgres_store.event_totals(TENANT) == EventTotals(0, 0)
    async with connected(postgres_url) as connection:
        found = [partition.month for partition in await partitions.existing(connection)]
    assert len(found) == 2
    assert found[0].following() == found[1]


async def test_a_month_that_nobody_prepared_is_made_by_the_first_write(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    async with connected(postgres_url) as connection:
        for partition in await partitions.existing(connection):
            await connection.execute(f"DROP TABLE {partition.month.table}")
        assert await postgres_store.write_events(TENANT, [event("e1")]) == WriteCounts(1, 0)
        assert len(await partitions.existing(connection)) == 2


async def test_retention_drops_whole_months_and_deletes_in_the_one_between(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    await postgres_store.write_events(TENANT, [event("now", item_id="new")])
    async with connected(postgres_url) as connection:
        this = (await partitions.existing(connection))[0].month
        old = Month(this.year - 1, 1)
        await connection.execute(
            f"CREATE TABLE {old.table} PARTITION OF events FOR VALUES FROM ({old.start}) TO ({old.following().start})"
        )
        await connection.execute(
            "INSERT INTO events (tenant, sequence, event_id, user_id, item_id, kind, weight, event_time, receive_time)"
            f" SELECT '{TENANT}', -place, 'old' || place, 'ann', 'heat', 3, 1.0, 5, {old.start} + place * 21600000000"
            " FROM generate_series(1, 100) AS place"
        )
        await connection.execute("UPDATE tenant_counters SET event_count = event_count + 100")
        [[now]] = await connection.fetch("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
        boundary = Retention(events=now - (old.start + 50 * DAY // 4 + DAY // 8), deduplication=DAY, deletions=DAY)
        assert (await postgres_store.maintain(boundary)).events == 50
        assert old in [partition.month for partition in await partitions.existing(connection)]
        over = Retention(events=now - old.following().start, deduplication=DAY, deletions=DAY)
        assert (await postgres_store.maintain(over)).events == 50
        assert old not in [partition.month for partition in await partitions.existing(connection)]
    assert await postgres_store.event_totals(TENANT) == EventTotals(1, 1)
    assert [entry.event_id for entry in await postgres_store.list_user_events(TENANT, "ann", 10)] == ["now"]


async def test_a_month_whose_removal_was_interrupted_goes_with_the_next_round(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    async with connected(postgres_url) as connection:
        old = Month(2001, 1)
        await connection.execute(f"CREATE TABLE {old.table} (LIKE events)")
        assert (await postgres_store.maintain(Retention(DAY, DAY, DAY))).unfinished
        assert old not in [partition.month for partition in await partitions.existing(connection)]


async def test_one_process_maintains_at_a_time(postgres_store: PostgresStore, postgres_url: str) -> None:
    async with connected(postgres_url) as connection:
        await connection.execute(f"SELECT pg_advisory_lock({maintenance.LOCK})")
        await postgres_store.write_events(TENANT, [event("e1")])
        nothing = await postgres_store.maintain(Retention(None, deduplication=-DAY, deletions=DAY))
        assert (nothing.receipts, nothing.unfinished) == (0, False)
    await eventually(lambda: _receipts_go(postgres_store))


async def _receipts_go(store: PostgresStore) -> bool:
    return (await store.maintain(Retention(None, deduplication=-DAY, deletions=DAY))).receipts == 1


async def test_a_user_of_many_events_is_erased_in_pieces(
    postgres_store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "PIECE", 7)
    await postgres_store.write_events(TENANT, [event(f"e{number}", item_id=f"i{number % 3}") for number in range(30)])
    await postgres_store.write_events(TENANT, [event("b", user_id="bob", item_id="i0", weight=0.5)])
    receipt = await postgres_store.erase_user(TENANT, "ann")
    assert receipt.event_count == 30
    assert await postgres_store.list_user_events(TENANT, "ann", 10) == []
    [statistics] = await postgres_store.item_statistics(TENANT)
    assert (statistics.item_id, statistics.event_count, statistics.positive_weight) == ("i0", 1, 0.5)
    assert await postgres_store.event_totals(TENANT) == EventTotals(1, 31)
    async with asyncio.timeout(5):
        assert (await postgres_store.erase_user(TENANT, "ann")).event_count == 0


async def test_a_change_of_the_catalogue_is_told_to_other_replicas_also_after_a_reconnect(
    postgres_store: PostgresStore, postgres_url: str
) -> None:
    other = await open_store(postgres_url)
    heard: list[str] = []
    other.watch_catalog(heard.append)
    number = 0

    async def told() -> bool:
        nonlocal number
        number += 1
        await postgres_store.upsert_items("acme", [item(f"i{number}")])
        await asyncio.sleep(0.05)
        return bool(heard)

    await eventually(told)
    assert set(heard) == {"acme"}
    async with connected(postgres_url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
    heard.clear()
    await eventually(told)
    await other.close()


async def test_a_history_comes_from_the_index_alone(postgres_store: PostgresStore, postgres_url: str) -> None:
    await postgres_store.write_events(TENANT, [event(f"e{number}", event_time=number) for number in range(500)])
    async with connected(postgres_url) as connection:
        await connection.execute("VACUUM ANALYZE events")
        plan = "\n".join(
            line
            for (line,) in await connection.fetch(
                "EXPLAIN SELECT item_id, weight, kind, event_time, sequence FROM events"
                " WHERE tenant = 'default' AND user_id = 'ann' ORDER BY event_time DESC, sequence DESC LIMIT 10"
            )
        )
    assert "Index Only Scan" in plan
    assert "-> Sort" not in plan.replace("  ", " ")


def test_months_follow_each_other() -> None:
    december = Month(2025, 12)
    assert december.following() == Month(2026, 1)
    assert Month.of(december.following().start - 1) == december
    assert Month.of(december.following().start) == Month(2026, 1)
    assert december.table == "events_2025_12"
