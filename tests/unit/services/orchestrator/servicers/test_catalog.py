from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK
from marquee.entertainment.v1 import catalog_service_pb2 as pb
from services.orchestrator.catalog.backfill import VectorBackfill
from services.orchestrator.store import Store
from tests.support.clients import outcome_of
from tests.unit.services.orchestrator.builders import PNG, StandInModels

if TYPE_CHECKING:
    from marquee.entertainment.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub

INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def upsert(catalog: CatalogServiceAsyncStub, *items: pb.Item) -> pb.UpsertItemsResponse:
    return await catalog.UpsertItems(pb.UpsertItemsRequest(items=items))


class TestUpsertItems:
    async def test_an_item_can_be_read_as_soon_as_the_call_returns(self, catalog: CatalogServiceAsyncStub) -> None:
        written = pb.Item(
            item_id="heat",
            title="Heat",
            description="A thief.",
            tags=["Crime", "Drama"],
            maturity_age=16,
            release_year=1995,
            picture=PNG + b"mask",
        )
        answer = await upsert(catalog, written)
        assert (answer.created_count, answer.updated_count, answer.degraded) == (1, 0, False)
        assert [step.step for step in answer.steps] == ["enrich/text", "enrich/vision", "store"]
        assert {step.outcome for step in answer.steps} == {STEP_OUTCOME_OK}
        read = (await catalog.GetItem(pb.GetItemRequest(item_id="heat"))).item
        assert abs(read.update_time.ToSeconds() - time.time()) < 60
        read.ClearField("update_time")
        written.ClearField("picture")
        written.picture_labels.append("mask")
        assert read == written

    async def test_what_only_we_may_say_is_ignored(self, catalog: CatalogServiceAsyncStub) -> None:
        lie = pb.Item(item_id="a", title="A", picture_labels=["dragon"])
        lie.update_time.FromSeconds(1)
        await upsert(catalog, lie)
        read = (await catalog.GetItem(pb.GetItemRequest(item_id="a"))).item
        assert list(read.picture_labels) == []
        assert read.update_time.ToSeconds() > 1

    async def test_items_are_replaced_and_a_kept_picture_stays(self, catalog: CatalogServiceAsyncStub) -> None:
        await upsert(catalog, pb.Item(item_id="a", title="A", tags=["x"], picture=PNG + b"cat"))
        answer = await upsert(catalog, pb.Item(item_id="a", title="B"), pb.Item(item_id="b", title="B"))
        assert (answer.created_count, answer.updated_count) == (1, 1)
        read = (await catalog.GetItem(pb.GetItemRequest(item_id="a"))).item
        assert (read.title, list(read.tags), list(read.picture_labels)) == ("B", [], ["cat"])

    async def test_with_the_model_services_down_items_are_stored_and_described_later(
        self, catalog: CatalogServiceAsyncStub, models: StandInModels, store: Store
    ) -> None:
        models.text_down = models.vision_down = True
        answer = await upsert(catalog, pb.Item(item_id="a", title="A", picture=PNG + b"cat"))
        assert answer.degraded
        assert [step.outcome for step in answer.steps] == [
            STEP_OUTCOME_FALLBACK,
            STEP_OUTCOME_FALLBACK,
            STEP_OUTCOME_OK,
        ]
        assert (await catalog.GetItem(pb.GetItemRequest(item_id="a"))).item.title == "A"
        models.text_down = models.vision_down = False
        await VectorBackfill(store, models).run_once()
        assert list((await catalog.GetItem(pb.GetItemRequest(item_id="a"))).item.picture_labels) == ["cat"]

    async def test_a_slow_model_service_does_not_cost_the_write(
        self, catalog: CatalogServiceAsyncStub, models: StandInModels
    ) -> None:
        models.delay_seconds = 30
        answer = await catalog.UpsertItems(pb.UpsertItemsRequest(items=[pb.Item(item_id="a", title="A")]), timeout=1.0)
        assert answer.degraded
        assert answer.created_count == 1

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"item_id": ""}, "item_id"),
            ({"item_id": "x" * 129}, "item_id"),
            ({"item_id": "a\nb"}, "item_id"),
            ({"title": ""}, "title"),
            ({"title": "   "}, "title"),
            ({"title": "t" * 501}, "title"),
            ({"description": "d" * 10_001}, "description"),
            ({"tags": ["t"] * 1 + [f"t{n}" for n in range(50)]}, "tags"),
            ({"tags": ["ok", ""]}, "tags[1]"),
            ({"tags": ["t" * 65]}, "tags[0]"),
            ({"tags": ["Drama", "Crime", "DRAMA"]}, "tags[2]"),
            ({"maturity_age": -1}, "maturity_age"),
            ({"maturity_age": 22}, "maturity_age"),
            ({"release_year": 1799}, "release_year"),
            ({"release_year": 2201}, "release_year"),
            ({"release_year": -5}, "release_year"),
            ({"picture": b"GIF89a"}, "picture"),
            ({"picture": PNG + b"broken"}, "picture"),
            ({"picture": PNG + bytes(8 << 20)}, "picture"),
        ],
    )
    async def test_an_invalid_item_refuses_the_batch_and_is_named(
        self, catalog: CatalogServiceAsyncStub, fields: dict[str, Any], field: str
    ) -> None:
        bad = pb.Item(**({"item_id": "bad", "title": "Bad"} | fields))
        request = pb.UpsertItemsRequest(items=[pb.Item(item_id="good", title="Good"), bad])
        outcome = await outcome_of(catalog.UpsertItems(request))
        assert outcome.code is INVALID
        assert set(outcome.violations) == {f"items[1].{field}"}
        assert (await catalog.ListItems(pb.ListItemsRequest())).total_count == 0

    async def test_the_limits_themselves_are_allowed(self, catalog: CatalogServiceAsyncStub) -> None:
        largest = pb.Item(
            item_id="x" * 128,
            title="t" * 500,
            description="d" * 10_000,
            tags=[f"{number:064}" for number in range(50)],
            maturity_age=21,
            release_year=2200,
        )
        assert (await upsert(catalog, largest, pb.Item(item_id="é", title="1", release_year=1800))).created_count == 2

    async def test_every_invalid_field_is_named_at_once(self, catalog: CatalogServiceAsyncStub) -> None:
        items = [pb.Item(), pb.Item(item_id="a", title="A"), pb.Item(item_id="a", title="A", maturity_age=99)]
        outcome = await outcome_of(catalog.UpsertItems(pb.UpsertItemsRequest(items=items)))
        assert set(outcome.violations) == {
            "items[0].item_id",
            "items[0].title",
            "items[2].item_id",
            "items[2].maturity_age",
        }
        assert outcome.violations["items[2].item_id"] == "repeats items[1].item_id"

    @pytest.mark.parametrize("count", [0, 501])
    async def test_the_number_of_items_is_limited(self, catalog: CatalogServiceAsyncStub, count: int) -> None:
        items = [pb.Item(item_id=str(number), title="T") for number in range(count)]
        outcome = await outcome_of(catalog.UpsertItems(pb.UpsertItemsRequest(items=items)))
        assert (outcome.code, set(outcome.violations)) == (INVALID, {"items"})


class TestReadingAndDeleting:
    async def test_an_unknown_item_is_not_found(self, catalog: CatalogServiceAsyncStub) -> None:
        for call in (
            catalog.GetItem(pb.GetItemRequest(item_id="nope")),
            catalog.DeleteItem(pb.DeleteItemRequest(item_id="nope")),
        ):
            outcome = await outcome_of(call)
            assert outcome.code is grpc.StatusCode.NOT_FOUND
            assert outcome.resource == ("item", "nope")
            assert "item_id" in outcome.violations

    async def test_an_id_is_required(self, catalog: CatalogServiceAsyncStub) -> None:
        for call in (catalog.GetItem(pb.GetItemRequest()), catalog.DeleteItem(pb.DeleteItemRequest())):
            outcome = await outcome_of(call)
            assert (outcome.code, set(outcome.violations)) == (INVALID, {"item_id"})

    async def test_a_deleted_item_is_gone(self, catalog: CatalogServiceAsyncStub) -> None:
        await upsert(catalog, pb.Item(item_id="a", title="A"))
        await catalog.DeleteItem(pb.DeleteItemRequest(item_id="a"))
        assert (await outcome_of(catalog.GetItem(pb.GetItemRequest(item_id="a")))).code is grpc.StatusCode.NOT_FOUND


class TestListItems:
    async def pages(self, catalog: CatalogServiceAsyncStub, size: int) -> list[pb.ListItemsResponse]:
        found, token = [], ""
        while True:
            page = await catalog.ListItems(pb.ListItemsRequest(page_size=size, page_token=token))
            found.append(page)
            token = page.next_page_token
            if not token:
                return found

    async def test_pages_cover_everything_once(self, catalog: CatalogServiceAsyncStub) -> None:
        await upsert(catalog, *(pb.Item(item_id=f"{number:03}", title="T") for number in range(250)))
        for size, sizes in ((0, [100, 100, 50]), (125, [125, 125]), (9_999, [250])):
            pages = await self.pages(catalog, size)
            assert [len(page.items) for page in pages] == sizes
            assert [item.item_id for page in pages for item in page.items] == [f"{n:03}" for n in range(250)]
            assert {page.total_count for page in pages} == {250}

    async def test_an_empty_catalogue_has_one_empty_page(self, catalog: CatalogServiceAsyncStub) -> None:
        page = await catalog.ListItems(pb.ListItemsRequest())
        assert (len(page.items), page.next_page_token, page.total_count) == (0, "", 0)

    async def test_large_items_make_shorter_pages_instead_of_messages_that_clients_refuse(
        self, catalog: CatalogServiceAsyncStub
    ) -> None:
        for start in range(0, 400, 100):
            ids = (f"{number:03}" for number in range(start, start + 100))
            await upsert(catalog, *(pb.Item(item_id=item_id, title="T", description="中" * 10_000) for item_id in ids))
        pages = await self.pages(catalog, 1_000)
        assert len(pages) > 1
        assert all(page.ByteSize() < 4 << 20 for page in pages)
        assert [item.item_id for page in pages for item in page.items] == [f"{n:03}" for n in range(400)]

    @pytest.mark.parametrize("token", ["x", "AAAA", "é"])
    async def test_a_damaged_token_is_named(self, catalog: CatalogServiceAsyncStub, token: str) -> None:
        outcome = await outcome_of(catalog.ListItems(pb.ListItemsRequest(page_token=token)))
        assert (outcome.code, set(outcome.violations)) == (INVALID, {"page_token"})

    async def test_a_negative_page_size_is_named(self, catalog: CatalogServiceAsyncStub) -> None:
        outcome = await outcome_of(catalog.ListItems(pb.ListItemsRequest(page_size=-1)))
        assert (outcome.code, set(outcome.violations)) == (INVALID, {"page_size"})


class TestExportItems:
    async def test_it_streams_everything_with_vectors(
        self, catalog: CatalogServiceAsyncStub, models: StandInModels
    ) -> None:
        await upsert(catalog, *(pb.Item(item_id=f"{number:04}", title="T") for number in range(500)))
        await upsert(catalog, pb.Item(item_id="z", title="TT", picture=PNG))
        models.text_down = True
        await upsert(catalog, pb.Item(item_id="zz", title="T"))
        parts = [part async for part in catalog.ExportItems(pb.ExportItemsRequest())]
        assert [len(part.items) for part in parts] == [500, 2]
        exported = [entry for part in parts for entry in part.items]
        assert [entry.item.item_id for entry in exported] == [*(f"{n:04}" for n in range(500)), "z", "zz"]
        assert np.frombuffer(exported[500].text_vector.values, "<f4").tolist() == [2.0]
        assert np.frombuffer(exported[500].picture_vector.values, "<f4").tolist() == [1.0, 2.0]
        assert exported[501].text_vector.values == b""
        assert exported[0].picture_vector.values == b""

    async def test_large_items_make_smaller_parts(self, catalog: CatalogServiceAsyncStub) -> None:
        items = [pb.Item(item_id=f"{number:03}", title="T", description="中" * 10_000) for number in range(200)]
        await upsert(catalog, *items)
        parts = [part async for part in catalog.ExportItems(pb.ExportItemsRequest())]
        assert len(parts) > 1
        assert all(part.ByteSize() < 4 << 20 for part in parts)
        assert sum(len(part.items) for part in parts) == 200
