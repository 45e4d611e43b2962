from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.store import Store
from services.orchestrator.store.records import ItemStatistics
from services.runtime.errors import ServiceError
from tests.unit.services.orchestrator.builders import event, eventually, item, vector

TENANT = "default"


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def sequence(store: Store, tenant: str = TENANT) -> int:
    return (await store.catalog_state(tenant)).sequence


async def test_a_change_is_in_the_next_snapshot(store: Store) -> None:
    snapshots = CatalogSnapshots(store)
    assert snapshots.current(TENANT) is None
    assert len(await snapshots.get(TENANT, 0)) == 0
    await store.upsert_items(TENANT, [item("a", text_vector=vector(1)), item("b")])
    first = await snapshots.get(TENANT, await sequence(store))
    assert first.item_ids == ("a", "b")
    assert await snapshots.get(TENANT, first.sequence) is first
    assert snapshots.current(TENANT) is first
    await store.delete_item(TENANT, "a")
    assert (await snapshots.get(TENANT, await sequence(store))).item_ids == ("b",)


async def test_callers_that_come_together_share_one(store: Store) -> None:
    await store.upsert_items(TENANT, [item("a")])
    snapshots = CatalogSnapshots(store)
    found = await asyncio.gather(*(snapshots.get(TENANT, 1) for _ in range(20)))
    assert all(snapshot is found[0] for snapshot in found)


async def test_it_is_finished_even_if_its_caller_leaves(store: Store) -> None:
    await store.upsert_items(TENANT, [item("a")])
    snapshots = CatalogSnapshots(store)
    caller = asyncio.ensure_future(snapshots.get(TENANT, 1))
    await asyncio.sleep(0)
    caller.cancel()

    async def finished() -> bool:
        return snapshots.current(TENANT) is not None

    await eventually(finished)


async def test_one_that_was_begun_before_a_change_is_not_enough(store: Store) -> None:
    await store.upsert_items(TENANT, [item(f"i{number}") for number in range(200)])
    snapshots = CatalogSnapshots(store)
    early = asyncio.ensure_future(snapshots.get(TENANT, 1))
    await asyncio.sleep(0)
    await store.upsert_items(TENANT, [item("new")])
    late = await snapshots.get(TENANT, await sequence(store))
    assert "new" in late.rows
    await early


async def test_popularity_is_refreshed_in_the_background(store: Store) -> None:
    clock = Clock()
    snapshots = CatalogSnapshots(store, statistics_interval_seconds=5, clock=clock)
    await store.upsert_items(TENANT, [item("heat")])
    assert (await snapshots.get(TENANT, 1)).event_counts.tolist() == [0]
    await store.write_events(TENANT, [event("e1")])
    clock.seconds = 4
    await snapshots.get(TENANT, 1)
    await asyncio.sleep(0.05)
    assert (await snapshots.get(TENANT, 1)).event_counts.tolist() == [0]
    clock.seconds = 6
    assert (await snapshots.get(TENANT, 1)).event_counts.tolist() == [0]

    async def refreshed() -> bool:
        return bool((await snapshots.get(TENANT, 1)).event_counts[0] == 1)

    await eventually(refreshed)


@pytest.mark.parametrize(("reading", "interval"), [(0.0, 5.0), (0.1, 20.0), (30.0, 300.0)])
async def test_slow_reading_makes_pauses_longer_but_never_endless(
    store: Store, reading: float, interval: float
) -> None:
    clock = Clock()
    slow = SlowStatistics(store, clock, reading)
    snapshots = CatalogSnapshots(cast("Store", slow), statistics_interval_seconds=5, clock=clock)
    begin = clock.seconds
    await snapshots.get(TENANT, 0)
    for seconds, reads in ((interval - 0.5, 1), (interval + 0.5, 2)):
        clock.seconds = begin + seconds
        await snapshots.get(TENANT, 0)
        await asyncio.sleep(0.05)
        assert slow.reads == reads
    await snapshots.close()


class SlowStatistics:
    """A store whose statistics take a while."""

    def __init__(self, store: Store, clock: Clock, seconds: float) -> None:
        self._store, self._clock, self._reading = store, clock, seconds
        self.reads = 0

    async def item_statistics(self, tenant: str) -> Sequence[ItemStatistics]:
        self.reads += 1
        self._clock.seconds += self._reading
        return await self._store.item_statistics(tenant)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def test_the_tenant_least_recently_used_goes_first(store: Store) -> None:
    snapshots = CatalogSnapshots(store, maximum_tenants=2)
    for tenant in ("one", "two", "one", "three"):
        await store.upsert_items(tenant, [item("a")])
        await snapshots.get(tenant, 1)
    assert snapshots.current("two") is None
    assert snapshots.current("one") is not None
    assert snapshots.current("three") is not None


async def test_a_store_that_cannot_be_read_says_so(store: Store) -> None:
    snapshots = CatalogSnapshots(store)
    await store.close()
    with pytest.raises(ServiceError):
        await snapshots.get(TENANT, 1)
    await snapshots.close()
