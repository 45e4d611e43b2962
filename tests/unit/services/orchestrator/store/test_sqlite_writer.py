"""Group commit, and what happens when the disk is full, the file locked, or a neighbour's write fails."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import grpc
import pytest

from services.orchestrator.store.records import EventTotals
from services.orchestrator.store.sqlite import writer as writer_module
from services.orchestrator.store.sqlite.store import SqliteStore
from services.runtime.errors import ServiceError, Unavailable
from tests.unit.services.orchestrator.builders import event, item

TENANT = "default"


class Gate:
    """Holds the writer thread inside a transaction until `open`, so that a test decides what queues up behind."""

    def __init__(self, store: SqliteStore) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()
        self.task = asyncio.ensure_future(store.writer.write(self._hold))

    def _hold(self, _: sqlite3.Connection) -> None:
        self._entered.set()
        self._opened.wait(10)

    async def entered(self) -> None:
        await asyncio.to_thread(self._entered.wait, 10)

    def open(self) -> None:
        self._opened.set()


async def test_writes_that_wait_share_a_commit(sqlite_store: SqliteStore) -> None:
    gate = Gate(sqlite_store)
    await gate.entered()
    writes = [asyncio.ensure_future(sqlite_store.write_events(TENANT, [event(f"e{n}")])) for n in range(200)]
    await asyncio.sleep(0)
    gate.open()
    counts = await asyncio.gather(*writes)
    assert sum(count.written for count in counts) == 200
    assert sqlite_store.writer.write_count == 201
    assert sqlite_store.writer.commit_count < 50
    assert await sqlite_store.event_totals(TENANT) == EventTotals(200, 200)


async def test_a_lone_write_does_not_wait_for_company(sqlite_store: SqliteStore) -> None:
    await sqlite_store.write_events(TENANT, [event("e1")])
    await sqlite_store.write_events(TENANT, [event("e2")])
    assert sqlite_store.writer.commit_count == 2


async def test_nothing_is_acknowledged_before_its_commit(sqlite_store: SqliteStore, store_path: Path) -> None:
    """Each write sees, through a connection of its own, that it is committed when its call returns."""

    def stored(event_id: str) -> bool:
        connection = sqlite3.connect(store_path)
        try:
            found = connection.execute("SELECT 1 FROM events WHERE event_id = ?", (event_id,)).fetchone()
            return found is not None
        finally:
            connection.close()

    async def write(event_id: str) -> bool:
        await sqlite_store.write_events(TENANT, [event(event_id)])
        return await asyncio.to_thread(stored, event_id)

    assert all(await asyncio.gather(*(write(f"e{number}") for number in range(100))))


async def test_a_commit_waits_for_the_disk(sqlite_store: SqliteStore) -> None:
    assert await sqlite_store.writer.write(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert await sqlite_store.writer.write(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    assert await sqlite_store.writer.write(lambda c: c.execute("PRAGMA foreign_keys").fetchone()) == (1,)


async def test_a_failing_write_does_not_fail_its_neighbours(sqlite_store: SqliteStore) -> None:
    gate = Gate(sqlite_store)
    await gate.entered()
    writes = [
        asyncio.ensure_future(
            sqlite_store.upsert_items(TENANT, [item(f"good{n}"), item(f"bad{n}", title=None if n % 3 == 0 else "x")])
        )
        for n in range(9)
    ]
    await asyncio.sleep(0)
    gate.open()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(outcome, ServiceError) for outcome in outcomes] == [True, False, False] * 3
    assert sqlite_store.writer.commit_count <= 4, "the neighbours share commits all the same"
    stored = {record.item_id for record in await sqlite_store.list_items(TENANT, "", 100)}
    assert stored == {f"{kind}{n}" for n in range(9) if n % 3 for kind in ("good", "bad")}


async def test_an_error_of_the_work_itself_comes_up_unchanged(sqlite_store: SqliteStore) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO tenant_counters (tenant) VALUES ('half')")
        raise LookupError("of its own")

    with pytest.raises(LookupError):
        await sqlite_store.writer.write(fail)
    assert (
        await sqlite_store.writer.write(lambda c: c.execute("SELECT count(*) FROM tenant_counters").fetchone())
    ) == (0,)


async def test_a_caller_who_leaves_while_waiting_costs_nothing(sqlite_store: SqliteStore) -> None:
    gate = Gate(sqlite_store)
    await gate.entered()
    left = asyncio.ensure_future(sqlite_store.write_events(TENANT, [event("left")]))
    stayed = asyncio.ensure_future(sqlite_store.write_events(TENANT, [event("stayed")]))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    gate.open()
    await stayed
    history = await sqlite_store.list_user_events(TENANT, "ann", 10)
    assert [entry.event_id for entry in history] == ["stayed"]


async def test_too_many_waiting_writes_are_refused_at_once(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_MAXIMUM_WAITING", 5)
    gate = Gate(sqlite_store)
    await gate.entered()
    writes = [asyncio.ensure_future(sqlite_store.write_events(TENANT, [event(f"e{n}")])) for n in range(8)]
    await asyncio.sleep(0)
    refused = [write for write in writes if write.done()]
    assert len(refused) == 3
    error = refused[0].exception()
    assert isinstance(error, ServiceError)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_OVERLOADED")
    assert error.retry_after_seconds
    gate.open()
    await asyncio.gather(*writes, return_exceptions=True)
    assert (await sqlite_store.event_totals(TENANT)).count == 5


class TestFullDisk:
    async def fill(self, store: SqliteStore, pages_left: int) -> None:
        def limit(connection: sqlite3.Connection) -> None:
            [used] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {used + pages_left}")

        await store.writer.write(limit)

    async def test_it_says_so_and_serves_on_when_there_is_room_again(self, sqlite_store: SqliteStore) -> None:
        await sqlite_store.write_events(TENANT, [event("before")])
        await self.fill(sqlite_store, 3)
        large = [event(f"large{number}", item_id="i" * 120, user_id=f"user{number}") for number in range(1_000)]
        with pytest.raises(ServiceError) as full:
            await sqlite_store.write_events(TENANT, large)
        assert (full.value.code, full.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
        assert "free space" in full.value.message
        assert await sqlite_store.event_totals(TENANT) == EventTotals(1, 1)
        assert len(await sqlite_store.user_history(TENANT, "ann", 10)) == 1
        await self.fill(sqlite_store, 100_000)
        assert (await sqlite_store.write_events(TENANT, large)).written == 1_000

    async def test_small_writes_beside_the_one_that_does_not_fit_are_stored(self, sqlite_store: SqliteStore) -> None:
        await self.fill(sqlite_store, 4)
        gate = Gate(sqlite_store)
        await gate.entered()
        large = [event(f"large{number}", item_id="i" * 120, user_id=f"user{number}") for number in range(1_000)]
        writes = [
            asyncio.ensure_future(sqlite_store.write_events(TENANT, batch))
            for batch in ([event("a")], large, [event("b")])
        ]
        await asyncio.sleep(0)
        gate.open()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [isinstance(outcome, ServiceError) for outcome in outcomes] == [False, True, False]
        stored = await sqlite_store.list_user_events(TENANT, "ann", 10)
        assert {entry.event_id for entry in stored} == {"a", "b"}
        assert await sqlite_store.event_totals(TENANT) == EventTotals(2, 2)

    async def test_a_lost_transaction_is_run_again_write_by_write(self, sqlite_store: SqliteStore) -> None:
        """SQLite may give up the whole transaction; a statement that rolls back stands in for that."""
        gate = Gate(sqlite_store)
        await gate.entered()
        runs: list[str] = []

        def lose(connection: sqlite3.Connection) -> None:
            runs.append("lose")
            connection.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")

        writes: list[asyncio.Future[object]] = [
            asyncio.ensure_future(sqlite_store.write_events(TENANT, [event("a")])),
            asyncio.ensure_future(sqlite_store.writer.write(lose)),
            asyncio.ensure_future(sqlite_store.write_events(TENANT, [event("b")])),
        ]
        await asyncio.sleep(0)
        gate.open()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [isinstance(outcome, ServiceError) for outcome in outcomes] == [False, True, False]
        assert runs == ["lose"] * 3, "with the others, apart from the others in one transaction, and alone"
        assert await sqlite_store.event_totals(TENANT) == EventTotals(2, 2)


class TestLockedFile:
    async def test_it_says_so_and_serves_on_when_the_lock_is_gone(
        self, sqlite_store: SqliteStore, store_path: Path
    ) -> None:
        await sqlite_store.write_events(TENANT, [event("before")])
        other = sqlite3.connect(store_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(
            *(sqlite_store.write_events(TENANT, [event(f"e{number}")]) for number in range(5)), return_exceptions=True
        )
        for outcome in outcomes:
            assert isinstance(outcome, Unavailable)
            assert outcome.reason == "STORE_BUSY"
            assert outcome.retry_after_seconds
        assert len(await sqlite_store.user_history(TENANT, "ann", 10)) == 1
        other.execute("ROLLBACK")
        other.close()
        assert (await sqlite_store.write_events(TENANT, [event("after")])).written == 1

    async def test_a_read_only_file_refuses_writes_and_serves_reads(self, sqlite_store: SqliteStore) -> None:
        await sqlite_store.write_events(TENANT, [event("before")])
        sqlite_store.writer._connection.execute("PRAGMA query_only = ON")  # what a read-only volume does to a write
        with pytest.raises(ServiceError) as refused:
            await sqlite_store.write_events(TENANT, [event("e1")])
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_READ_ONLY")
        assert len(await sqlite_store.user_history(TENANT, "ann", 10)) == 1


async def test_closing_finishes_what_waits(sqlite_store: SqliteStore, store_path: Path) -> None:
    gate = Gate(sqlite_store)
    await gate.entered()
    writes = [asyncio.ensure_future(sqlite_store.write_events(TENANT, [event(f"e{n}")])) for n in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(sqlite_store.close())
    await asyncio.sleep(0.05)
    gate.open()
    await asyncio.gather(closing, *writes)
    connection = sqlite3.connect(store_path)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (20,)
    connection.close()
