"""Changes taken into a snapshot give what building it anew gives."""

from __future__ import annotations

import random
import time
from dataclasses import fields

import numpy

from services.orchestrator.catalog.snapshot import CatalogSnapshot, VectorColumn, build_snapshot
from services.orchestrator.catalog.snapshot_changes import apply_changes
from services.orchestrator.catalog.snapshots import CatalogSnapshots
from services.orchestrator.store import Store
from services.orchestrator.store.records import Availability, ItemRecord, ItemWrite
from tests.unit.services.orchestrator.builders import item, vector

TENANT = "default"


async def whole(store: Store) -> CatalogSnapshot:
    items: list[ItemRecord] = []
    async for page in store.all_items(TENANT, page_size=100):
        items += page
    return build_snapshot((await store.catalog_state(TENANT)).sequence, items, [])


def assert_same(found: CatalogSnapshot, expected: CatalogSnapshot) -> None:
    for field in fields(CatalogSnapshot):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(one, VectorColumn):
            assert (one.model, one.version) == (other.model, other.version)
            numpy.testing.assert_array_equal(one.values, other.values)
            numpy.testing.assert_array_equal(one.present, other.present)
            assert not one.values.flags.writeable
        elif isinstance(one, numpy.ndarray):
            numpy.testing.assert_array_equal(one, other, err_msg=field.name)
        elif field.name.endswith("_rows"):
            assert {key: rows.tolist() for key, rows in one.items()} == {
                key: rows.tolist() for key, rows in other.items()
            }
        else:
            assert one == other, field.name


def any_item(chance: random.Random, number: int) -> ItemWrite:
    regions = tuple(chance.sample(["DE", "US", "US-CA", "FR"], chance.randrange(3)))
    return item(
        f"{chance.choice('aZé中')}{number}",
        tags=tuple(chance.sample(["war", "love", "west"], chance.randrange(3))),
        release_year=chance.randrange(1900, 2000),
        text_vector=vector(chance.random(), 1) if chance.random() < 0.8 else None,
        availability=Availability(regions, chance.choice([None, 5]), None, ("premium",) * chance.randrange(2)),
    )


async def test_any_changes_lead_to_what_a_new_snapshot_shows(store: Store) -> None:
    chance = random.Random(7)
    first = item("z", text_vector=vector(1, 2))
    await store.upsert_items(
        TENANT, [first, *{one.item_id: one for one in (any_item(chance, n) for n in range(30))}.values()]
    )
    snapshot = await whole(store)
    for _ in range(40):
        for _ in range(chance.randrange(1, 4)):
            if chance.random() < 0.4 and len(snapshot) > 1:
                gone = chance.choice(snapshot.item_ids)
                if gone != "z":
                    await store.delete_item(TENANT, gone)
            else:
                await store.upsert_items(TENANT, [any_item(chance, chance.randrange(40))])
        changes = await store.item_changes(TENANT, snapshot.sequence, 1_000)
        assert changes is not None
        changed = apply_changes(snapshot, changes)
        assert changed is not None
        assert_same(changed, await whole(store))
        snapshot = changed


async def test_vectors_of_another_model_ask_for_a_new_snapshot(store: Store) -> None:
    await store.upsert_items(TENANT, [item("a", text_vector=vector(1, 2))])
    snapshot = await whole(store)
    await store.upsert_items(TENANT, [item("b", text_vector=vector(1, 2, model="other"))])
    changes = await store.item_changes(TENANT, snapshot.sequence, 10)
    assert changes is not None
    assert apply_changes(snapshot, changes) is None


async def test_a_catalogue_may_be_emptied_and_filled_again(store: Store) -> None:
    snapshots = CatalogSnapshots(store)
    await store.upsert_items(TENANT, [item("a", text_vector=vector(1, 2))])

    async def newest() -> CatalogSnapshot:
        return await snapshots.get(TENANT, (await store.catalog_state(TENANT)).sequence)

    assert len(await newest()) == 1
    await store.delete_item(TENANT, "a")
    assert len(await newest()) == 0
    await store.upsert_items(TENANT, [item("b", text_vector=vector(3, 4))])
    assert_same(await newest(), await whole(store))
    await snapshots.close()


async def test_availability_is_a_mask(store: Store) -> None:
    now = time.time_ns() // 1_000
    limits = {
        "everywhere": Availability(),
        "us": Availability(("US",)),
        "california": Availability(("US-CA",)),
        "premium": Availability(entitlements=("premium", "gold")),
        "soon": Availability(start_time=now + 60_000_000),
        "over": Availability(end_time=now),
    }
    await store.upsert_items(TENANT, [item(name, availability=limit) for name, limit in limits.items()])
    snapshot = await whole(store)

    def shown(region: str = "", entitlements: tuple[str, ...] = (), at: int = now) -> set[str]:
        mask = snapshot.mask(region=region, entitlements=entitlements, now=at)
        return {snapshot.item_ids[row] for row in numpy.flatnonzero(mask)}

    assert shown() == {"everywhere"}
    assert shown("US") == {"everywhere", "us"}
    assert shown("US-CA") == {"everywhere", "us", "california"}
    assert shown("DE", ("gold",)) == {"everywhere", "premium"}
    assert shown(at=now + 60_000_000) == {"everywhere", "soon"}
    assert shown(at=now - 1) == {"everywhere", "over"}
