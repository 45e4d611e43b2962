"""What the store on PostgreSQL promises while the server restarts, is killed, or the network fails."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from typing import cast

import grpc
import pytest

from services.orchestrator.store import open_store
from services.orchestrator.store.postgres.connections import Server
from services.orchestrator.store.postgres.store import PostgresStore
from services.orchestrator.store.records import EventTotals, WriteCounts
from services.runtime.errors import ServiceError
from tests.support.cutting_proxy import CuttingProxy
from tests.support.postgres import PostgresServer
from tests.support.postgres_fixtures import connected, execute, require_postgresql
from tests.unit.services.orchestrator.builders import event, item

TENANT = "default"
_names = (f"drill_{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that these tests may stop and kill."""
    require_postgresql()
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
async def own_url(own_server: PostgresServer) -> str:
    name = next(_names)
    await execute(own_server, f"CREATE DATABASE {name}")
    return own_server.url(name)


@pytest.fixture
async def store(own_url: str) -> AsyncIterator[PostgresStore]:
    store = cast("PostgresStore", await open_store(own_url, busy_timeout_seconds=1.0))
    yield store
    await store.close()


async def write_until_acknowledged(store: PostgresStore, name: str, count: int) -> int:
    """Send batches, each again until it is acknowledged; returns how many events were acknowledged as written."""
    written = 0
    for number in range(count):
        batch = [event(f"{name}-{number}-{place}", item_id=name) for place in range(20)]
        async with asyncio.timeout(40):
            while True:
                try:
                    counts = await store.write_events(TENANT, batch)
                    break
                except ServiceError as error:
                    if error.code != grpc.StatusCode.UNAVAILABLE or not error.retry_after_seconds:
                        raise
                    await asyncio.sleep(0.02)
        written += counts.written
        await asyncio.sleep(0.01)
    return written


async def test_a_patient_writer_hears_of_no_crash_at_all(own_server: PostgresServer, own_url: str) -> None:
    """Every write is answered, with the right counts, whenever the server was killed."""
    store = cast("PostgresStore", await open_store(own_url, busy_timeout_seconds=30))
    writers = [asyncio.create_task(write_until_acknowledged(store, name, 60)) for name in ("a", "b", "c")]
    for _ in range(3):
        await asyncio.sleep(0.15)
        await asyncio.to_thread(own_server.kill)
        await asyncio.to_thread(own_server.start)
    assert await asyncio.gather(*writers) == [1200, 1200, 1200]
    assert await store.event_totals(TENANT) == EventTotals(3600, 3600)
    await store.close()


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_no_event_is_lost_or_doubled_while_the_server_goes_down(
    own_server: PostgresServer, store: PostgresStore, how: str
) -> None:
    writers = [asyncio.create_task(write_until_acknowledged(store, name, 60)) for name in ("a", "b", "c")]
    for _ in range(2):
        await asyncio.sleep(0.3)
        if how == "restart":
            await asyncio.to_thread(own_server.restart)
        else:
            await asyncio.to_thread(own_server.kill)
            await asyncio.to_thread(own_server.start)
    await asyncio.gather(*writers)
    assert await store.event_totals(TENANT) == EventTotals(3600, 3600)
    statistics = {entry.item_id: entry.event_count for entry in await store.item_statistics(TENANT)}
    assert statistics == {"a": 1200, "b": 1200, "c": 1200}
    pages = [page async for page in store.export_events(TENANT, after_sequence=0, page_size=1000)]
    assert [entry.sequence for page in pages for entry in page] == list(range(1, 3601))


async def test_a_broken_connection_is_not_the_callers_problem(own_url: str, store: PostgresStore) -> None:
    for number in range(3):
        await store.write_events(TENANT, [event(f"e{number}")])
        await asyncio.gather(*(store.event_totals(TENANT) for _ in range(10)))
        async with connected(own_url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        totals = await asyncio.gather(*(store.event_totals(TENANT) for _ in range(10)))
        assert totals == [EventTotals(number + 1, number + 1)] * 10


async def test_a_server_that_is_down_is_told_within_the_wait(own_server: PostgresServer, store: PostgresStore) -> None:
    await asyncio.to_thread(own_server.stop)
    try:
        for call in (store.get_item(TENANT, "a"), store.write_events(TENANT, [event("e")])):
            start = time.perf_counter()
            with pytest.raises(ServiceError) as refused:
                await call
            assert time.perf_counter() - start < 4
            assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE")
            assert refused.value.retry_after_seconds
    finally:
        await asyncio.to_thread(own_server.start)
    assert await store.write_events(TENANT, [event("e")]) == WriteCounts(1, 0)


async def test_a_pool_that_is_exhausted_says_so_within_the_wait(own_url: str, store: PostgresStore) -> None:
    await store.upsert_items(TENANT, [item("a")])
    async with connected(own_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        start = time.perf_counter()
        outcomes = await asyncio.gather(*(store.get_item(TENANT, "a") for _ in range(40)), return_exceptions=True)
        assert time.perf_counter() - start < 5
    reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, ServiceError)}
    assert reasons == {"STORE_BUSY"}
    assert len(outcomes) == 40
    assert await store.get_item(TENANT, "a") is not None


async def test_a_lock_that_stays_held_is_told_and_harms_no_other_tenant(own_url: str, store: PostgresStore) -> None:
    await store.write_events("slow", [event("e1")])
    async with connected(own_url) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM tenant_counters WHERE tenant = 'slow' FOR UPDATE")
        blocked = asyncio.create_task(store.write_events("slow", [event("e2")]))
        await asyncio.sleep(0.1)
        assert await store.write_events("quick", [event("e1")]) == WriteCounts(1, 0)
        with pytest.raises(ServiceError) as busy:
            await blocked
        assert busy.value.reason == "STORE_BUSY"


async def test_a_replica_that_stopped_in_the_middle_of_a_write_fails_no_other(
    own_url: str, store: PostgresStore
) -> None:
    await store.write_events(TENANT, [event("e1")])
    other = await open_store(own_url, busy_timeout_seconds=3)
    stopped = await Server(own_url, lock_seconds=1, statement_seconds=1).connect_once(5)
    await stopped.execute("BEGIN")
    await stopped.execute("SELECT 1 FROM tenant_counters FOR UPDATE")
    assert await other.write_events(TENANT, [event("e2")]) == WriteCounts(1, 0)
    stopped.terminate()
    await other.close()


async def test_a_caller_who_leaves_costs_no_connection(own_url: str, store: PostgresStore) -> None:
    await store.upsert_items(TENANT, [item("a")])
    async with connected(own_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        for _ in range(3):
            reads = [asyncio.create_task(store.get_item(TENANT, "a")) for _ in range(6)]
            await asyncio.sleep(0.1)
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
    assert await store.get_item(TENANT, "a") is not None


async def test_a_server_that_answers_no_more_fails_the_call_in_time(own_server: PostgresServer, own_url: str) -> None:
    async with CuttingProxy(own_server.port) as proxy:
        url = own_url.replace(str(own_server.port), str(proxy.port))
        store = await open_store(url, busy_timeout_seconds=0.5, statement_timeout_seconds=0.5)
        proxy.silent = True
        start = time.perf_counter()
        for call in (store.get_item(TENANT, "a"), store.write_events(TENANT, [event("e1")])):
            with pytest.raises(ServiceError) as lost:
                await call
            assert lost.value.code == grpc.StatusCode.UNAVAILABLE
        assert time.perf_counter() - start < 8
        proxy.silent = False
        proxy.cut()
        counts = await store.write_events(TENANT, [event("e1")])
        assert counts.written + counts.duplicates == 1
        await store.close()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_commit_without_an_answer_is_looked_up(own_server: PostgresServer, own_url: str, moment: str) -> None:
    """The connection breaks just before or just after the server gets COMMIT: the answer is right all the same."""
    async with CuttingProxy(own_server.port) as proxy:
        store = await open_store(own_url.replace(str(own_server.port), str(proxy.port)), busy_timeout_seconds=3)
        proxy.cut_at(b"COMMIT", forward=moment == "after")
        assert await store.write_events(TENANT, [event("e1"), event("e1"), event("e2")]) == WriteCounts(2, 1)
        assert proxy.cuts == 1
        assert await store.event_totals(TENANT) == EventTotals(2, 2)
        proxy.cut_at(b"COMMIT", forward=moment == "after")
        assert (await store.set_bundle(TENANT, "v1", expected="")).version == "v1"
        assert proxy.cuts == 2
        await store.close()


async def fill(store: PostgresStore) -> tuple[int, ServiceError]:
    """Write events until the store refuses; returns how many were acknowledged, and the refusal."""
    written = 0
    for number in itertools.count():
        batch = [event(f"{number}-{place}-{'x' * 80}", user_id=f"u{place}") for place in range(500)]
        try:
            written += (await store.write_events(TENANT, batch)).written
        except ServiceError as error:
            return written, error
    raise AssertionError


async def test_a_full_disk_is_told_and_loses_nothing(own_server: PostgresServer) -> None:
    with contextlib.ExitStack() as cleanup:
        try:
            folder = cleanup.enter_context(own_server.small_disk(40))
        except PermissionError as error:
            pytest.skip(str(error))
        await execute(own_server, f"CREATE TABLESPACE small LOCATION '{folder}'")
        await execute(own_server, "CREATE DATABASE full_disk TABLESPACE small")
        store = cast("PostgresStore", await open_store(own_server.url("full_disk")))
        ballast = folder / "ballast"
        ballast.write_bytes(b"x" * max(0, shutil.disk_usage(folder).free - 2_000_000))
        written, full = await fill(store)
        assert (full.code, full.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
        assert full.retry_after_seconds
        assert await store.event_totals(TENANT) == EventTotals(written, written)
        ballast.unlink()
        assert await store.write_events(TENANT, [event("after")]) == WriteCounts(1, 0)
        await store.close()
        await execute(own_server, "DROP DATABASE full_disk WITH (FORCE)")
        await execute(own_server, "DROP TABLESPACE small")


async def test_too_many_waiting_writes_are_refused_at_once(own_url: str, store: PostgresStore) -> None:
    await store.write_events(TENANT, [event("first")])
    async with connected(own_url) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM tenant_counters FOR UPDATE")
        writes = [asyncio.create_task(store.write_events(TENANT, [event(f"e{number}")])) for number in range(1_500)]
        await asyncio.sleep(0.3)
        refused = [write.exception() for write in writes if write.done()]
    assert len(refused) == 500
    assert {error.reason for error in refused if isinstance(error, ServiceError)} == {"STORE_OVERLOADED"}
    await asyncio.gather(*writes, return_exceptions=True)
