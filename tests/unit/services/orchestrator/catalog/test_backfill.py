from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.orchestrator.catalog.backfill import VectorBackfill
from services.orchestrator.catalog.content_models import TextVectors
from services.orchestrator.store import Store
from services.orchestrator.store.records import ItemRecord
from tests.unit.services.orchestrator.builders import StandInModels, eventually, item, picture, vector


async def stored(store: Store, tenant: str = "default") -> dict[str, ItemRecord]:
    return {record.item_id: record async for page in store.all_items(tenant, page_size=100) for record in page}


async def test_what_waits_is_filled_in_for_all_tenants(store: Store) -> None:
    await store.upsert_items("default", [item(f"i{number}", title="t" * (number + 1)) for number in range(150)])
    await store.upsert_items("other", [item("a", title="ab", picture=picture(b"cat"))])
    assert await VectorBackfill(store, StandInModels()).run_once() == 152
    assert [record.text_vector for record in (await stored(store)).values()] == [
        vector(len(record.title)) for record in (await stored(store)).values()
    ]
    other = (await stored(store, "other"))["a"]
    assert (other.text_vector, other.picture_labels) == (vector(2), ("cat",))
    assert await store.waiting_pictures(10) == []


async def test_it_waits_for_the_service_to_come_back(store: Store) -> None:
    models = StandInModels()
    models.text_down = models.vision_down = True
    await store.upsert_items("default", [item("a", picture=picture(b"cat"))])
    backfill = VectorBackfill(store, models, interval_seconds=0.02)
    backfill.start()
    await asyncio.sleep(0.1)
    assert (await stored(store))["a"].text_vector is None
    models.text_down = models.vision_down = False

    async def filled_in() -> bool:
        return (await stored(store))["a"].picture_vector is not None and not await store.waiting_texts(1)

    await eventually(filled_in)
    await backfill.stop()
    await backfill.stop()


async def test_a_text_or_picture_that_never_will_do_holds_up_no_other(store: Store) -> None:
    texts = [item(f"i{number}", title="poison" if number in (2, 5) else "fine") for number in range(8)]
    await store.upsert_items("default", texts)
    pictures = [
        item(f"p{n}", text_vector=vector(1), picture=picture(b"broken" if n == 1 else b"cat")) for n in range(3)
    ]
    await store.upsert_items("default", pictures)
    await VectorBackfill(store, StandInModels()).run_once()
    records = await stored(store)
    assert [item_id for item_id, record in records.items() if record.text_vector is None] == ["i2", "i5"]
    assert [records[f"p{number}"].picture_labels for number in range(3)] == [("cat",), (), ("cat",)]
    assert await store.waiting_texts(10) == []
    assert await store.waiting_pictures(10) == []


async def test_it_outlives_a_store_that_fails(store: Store) -> None:
    class Failing(StandInModels):
        async def embed_texts(self, texts: Sequence[str]) -> TextVectors:
            self.calls.append(len(texts))
            raise RuntimeError("a bug")

    models = Failing()
    await store.upsert_items("default", [item("a")])
    backfill = VectorBackfill(store, models, interval_seconds=0.01)
    backfill.start()

    async def tried_thrice() -> bool:
        return len(models.calls) >= 3

    await eventually(tried_thrice)
    await backfill.stop()


async def test_large_pictures_share_no_call_that_would_be_too_large_for_the_vision_service(store: Store) -> None:
    models = StandInModels()
    large = [item(f"i{n}", text_vector=vector(1), picture=picture(b"x" * (6 << 20))) for n in range(3)]
    await store.upsert_items("default", large)
    assert await VectorBackfill(store, models).run_once() == 3
    assert models.calls == [2, 1]
