"""What is measured of a store: ingest, reads of histories of different lengths, pages, one changed item."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Awaitable, Callable
from functools import partial

import numpy

from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.store import Store
from services.orchestrator.store.records import EventWrite, ItemVector, ItemWrite

Measurements = dict[str, str]
TENANT = "default"
_WRITERS = 8
_BATCH = 500
_USERS = 20_000
_DIMENSIONS = 256
_READS = 200
_HISTORIES = (100, 10_000, 50_000)


async def measure(store: Store, events: int, items: int, say: Callable[[str], None]) -> Measurements:
    """Fill a store and measure it on the way."""
    found: Measurements = {}
    say("unary events")
    found["unary events, 32 callers, acknowledged/s"] = f"{await _unary(store):,.0f}"
    say(f"{events:,} events")
    found |= await _ingest(store, events)
    for length in _HISTORIES:
        await _history(store, f"long-{length}", length)
        say(f"history of {length:,} events")
        times = await _times(partial(store.recommendation_state, TENANT, f"long-{length}", 100))
        found[f"read for a recommendation, user with {length:,} events, p50 / p99 ms"] = times
    say(f"{items:,} items")
    found |= await _catalogue(store, items)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    found["memory of the measuring process at most, MB"] = f"{memory:,.0f}"
    return found


async def _unary(store: Store) -> float:
    async def caller(name: int) -> None:
        for number in range(60):
            await store.write_events(TENANT, [_event(f"unary-{name}-{number}", number)])

    return await _rate(asyncio.gather(*(caller(name) for name in range(32))), 32 * 60)


async def _ingest(store: Store, count: int) -> Measurements:
    found: Measurements = {}
    quarter = count // 4
    for part in range(4):
        rate = await _rate(_write(store, f"part-{part}", quarter), quarter)
        found[f"events in batches of {_BATCH}, quarter {part + 1} of {count:,}, acknowledged/s"] = f"{rate:,.0f}"
    again = min(quarter, 50_000)
    rate = await _rate(_write(store, "part-0", again), again)
    found["the same sent again (all duplicates), acknowledged/s"] = f"{rate:,.0f}"
    return found


async def _write(store: Store, name: str, count: int) -> None:
    numbers = iter(range(0, count, _BATCH))

    async def writer() -> None:
        for start in numbers:
            size = min(_BATCH, count - start)
            await store.write_events(TENANT, [_event(f"{name}-{start + n}", start + n) for n in range(size)])

    await asyncio.gather(*(writer() for _ in range(_WRITERS)))


async def _history(store: Store, user: str, length: int) -> None:
    for start in range(0, length, 1_000):
        places = range(start, min(start + 1_000, length))
        batch = [EventWrite(f"{user}-{n}", user, f"i{n * 7919 % 100_000}", 3, 1.0, 1_000 + n) for n in places]
        await store.write_events(TENANT, batch)


async def _catalogue(store: Store, count: int) -> Measurements:
    numbers = numpy.random.default_rng(7)

    async def fill() -> None:
        for start in range(0, count, _BATCH):
            vectors = numbers.random((_BATCH, _DIMENSIONS), numpy.float32)
            batch = [_item(start + place, vectors[place].tobytes()) for place in range(min(_BATCH, count - start))]
            await store.upsert_items(TENANT, batch)

    rate = await _rate(fill(), count)
    chance = random.Random(7)
    page = await _times(lambda: store.list_items(TENANT, f"i{chance.randrange(count)}", 100))
    snapshots = CatalogSnapshots(store, statistics_interval_seconds=3_600)
    start = time.perf_counter()
    await snapshots.get(TENANT, (await store.catalog_state(TENANT)).sequence)
    whole = time.perf_counter() - start
    await store.upsert_items(TENANT, [_item(1, bytes(4 * _DIMENSIONS))])
    start = time.perf_counter()
    await snapshots.get(TENANT, (await store.catalog_state(TENANT)).sequence)
    changed = time.perf_counter() - start
    await snapshots.close()
    return {
        f"items with {_DIMENSIONS}-d vectors in batches of {_BATCH}, stored/s": f"{rate:,.0f}",
        f"page of 100 of {count:,} items, p50 / p99 ms": page,
        f"catalogue of {count:,} items read into memory, s": f"{whole:.2f}",
        "one changed item taken in, ms": f"{changed * 1e3:.0f}",
    }


async def _rate(work: Awaitable[object], count: int) -> float:
    start = time.perf_counter()
    await work
    return count / (time.perf_counter() - start)


async def _times(read: Callable[[], Awaitable[object]]) -> str:
    times = []
    for _ in range(_READS):
        start = time.perf_counter()
        await read()
        times.append((time.perf_counter() - start) * 1e3)
    p50, p99 = numpy.percentile(times, [50, 99])
    return f"{p50:.2f} / {p99:.2f}"


def _event(event_id: str, number: int) -> EventWrite:
    # Some items are played much more than others, as people do.
    item = int((number * 2_654_435_761 % 1_000_003 / 1_000_003) ** 3 * 20_000)
    return EventWrite(event_id, f"u{number * 48_271 % _USERS}", f"i{item}", 3, 1.0, 1_000_000 + number)


def _item(number: int, vector: bytes) -> ItemWrite:
    return ItemWrite(
        f"i{number}",
        f"Title {number}",
        "What it is about, in a sentence or two.",
        ("Drama", "War"),
        text_vector=ItemVector(vector, "sentences", "1"),
    )
