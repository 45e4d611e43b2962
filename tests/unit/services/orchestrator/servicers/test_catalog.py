from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FALLBACK, STEP_OUTCOME_OK
from marquee.entertainment.v1 import catalog_service_pb2 as pb
from services.orchestrator.catalog.backfill import VectorBackfill
from services.orchestrator.store import Store
from tests.support.clients import Outcome, outcome_of
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


class TestAvailability:
    async def test_where_when_and_to_whom_comes_back(self, catalog: CatalogServiceAsyncStub) -> None:
        wanted = pb.Item(item_id="a", title="A", locale="pt-BR", picture_uri="https://example.com/a.png")
        wanted.availability.regions.extend(["de", "US-CA"])
        wanted.availability.entitlements.append("premium")
        wanted.availability.start_time.FromSeconds(100)
        wanted.availability.end_time.FromSeconds(200)
        await catalog.UpsertItems(pb.UpsertItemsRequest(items=[wanted]))
        stored = (await catalog.GetItem(pb.GetItemRequest(item_id="a"))).item
        wanted.availability.regions[0] = "DE"
        assert stored.availability == wanted.availability
        assert (stored.locale, stored.picture_uri) == ("pt-BR", "https://example.com/a.png")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"locale": "not a locale"}, "items[0].locale"),
            ({"picture_uri": "x" * 2_001}, "items[0].picture_uri"),
            ({"availability": {"regions": ["Germany"]}}, "items[0].availability.regions[0]"),
            ({"availability": {"regions": ["DE", "de"]}}, "items[0].availability.regions"),
            ({"availability": {"entitlements": [""]}}, "items[0].availability.entitlements[0]"),
            (
                {"availability": {"start_time": {"seconds": 5}, "end_time": {"seconds": 5}}},
                "items[0].availability.end_time",
            ),
            ({"availability": {"end_time": {"seconds": 1 << 60}}}, "items[0].availability.end_time"),
        ],
    )
    async def test_bad_limits_are_named(
        self, catalog: CatalogServiceAsyncStub, fields: dict[str, Any], field: str
    ) -> None:
        request = pb.UpsertItemsRequest(items=[pb.Item(**({"item_id": "a", "title": "A"} | fields))])
        refused = await outcome_of(catalog.UpsertItems(request))
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert any(name.startswith(field) for name in refused.violations), refused.violations


class TestKeepValid:
    async def test_the_good_are_stored_and_the_others_reported(self, catalog: CatalogServiceAsyncStub) -> None:
        items = [
            pb.Item(item_id="a", title="A"),
            pb.Item(item_id="b"),
            pb.Item(item_id="a", title="Again"),
            pb.Item(item_id="c", title="C", picture=PNG + b"broken"),
            pb.Item(item_id="d", title="D" * 10_000_000),
        ]
        answer = await catalog.UpsertItems(pb.UpsertItemsRequest(items=items, keep_valid=True))
        assert answer.created_count == 1
        refused = {one.index: (one.item_id, one.problems[0]) for one in answer.refused_items}
        assert list(refused) == [1, 2, 3, 4]
        assert refused[1][1].startswith("title is empty")
        assert refused[2][1].startswith("item_id repeats items[0]")
        assert refused[3][1].startswith("picture")
        assert "the limit is 500" in refused[4][1]

    async def test_nothing_valid_stores_nothing(self, catalog: CatalogServiceAsyncStub) -> None:
        answer = await catalog.UpsertItems(pb.UpsertItemsRequest(items=[pb.Item(item_id="b")], keep_valid=True))
        assert (answer.created_count, len(answer.refused_items)) == (0, 1)


class TestUpdateItem:
    @pytest.fixture(autouse=True)
    async def stored(self, catalog: CatalogServiceAsyncStub) -> None:
        one = pb.Item(item_id="a", title="A", description="About", tags=["x"], release_year=1999)
        one.availability.regions.append("DE")
        await catalog.UpsertItems(pb.UpsertItemsRequest(items=[one]))

    async def test_only_the_named_fields_change(self, catalog: CatalogServiceAsyncStub) -> None:
        wanted = pb.Item(item_id="a", title="ignored", tags=["y", "z"])
        wanted.availability.entitlements.append("premium")
        answer = await update(catalog, wanted, "tags", "release_year", "availability.entitlements")
        item = answer.reply.item
        assert (item.title, item.description, list(item.tags), item.release_year) == ("A", "About", ["y", "z"], 0)
        assert (list(item.availability.regions), list(item.availability.entitlements)) == (["DE"], ["premium"])

    async def test_a_star_changes_everything(self, catalog: CatalogServiceAsyncStub) -> None:
        item = (await update(catalog, pb.Item(item_id="a", title="B"), "*")).reply.item
        assert (item.title, item.description, list(item.tags)) == ("B", "", [])
        assert not item.HasField("availability")

    async def test_the_text_is_embedded_anew_only_when_it_changed(
        self, catalog: CatalogServiceAsyncStub, models: StandInModels, store: Store
    ) -> None:
        before = await store.get_item("default", "a")
        assert before is not None
        models.calls.clear()
        await update(catalog, pb.Item(item_id="a", release_year=2001), "release_year")
        assert models.calls == []
        await update(catalog, pb.Item(item_id="a", title="Longer"), "title")
        after = await store.get_item("default", "a")
        assert after is not None
        assert before.text_vector != after.text_vector is not None

    async def test_changes_at_the_same_moment_are_both_kept(self, catalog: CatalogServiceAsyncStub) -> None:
        wanted = pb.Item(item_id="a", title="T", description="D", tags=["t"], maturity_age=7, release_year=2002)
        fields = ("title", "description", "tags", "maturity_age", "release_year")
        await asyncio.gather(*(update(catalog, wanted, field) for field in fields))
        item = (await catalog.GetItem(pb.GetItemRequest(item_id="a"))).item
        found = (item.title, item.description, list(item.tags), item.maturity_age, item.release_year)
        assert found == ("T", "D", ["t"], 7, 2002)

    @pytest.mark.parametrize("paths", [[], ["update_time"], ["availability.moon"], ["*", "title"], ["title"] * 51])
    async def test_a_bad_mask_is_refused(self, catalog: CatalogServiceAsyncStub, paths: list[str]) -> None:
        refused = await update(catalog, pb.Item(item_id="a", title="B"), *paths)
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert any(name.startswith("update_mask") for name in refused.violations)

    async def test_what_would_be_invalid_is_refused(self, catalog: CatalogServiceAsyncStub) -> None:
        refused = await update(catalog, pb.Item(item_id="a"), "title")
        assert "item.title" in refused.violations
        broken = await update(catalog, pb.Item(item_id="a", picture=PNG + b"broken"), "picture")
        assert list(broken.violations) == ["item.picture"]
        assert (await update(catalog, pb.Item(item_id="z"), "tags")).code is grpc.StatusCode.NOT_FOUND


async def update(catalog: CatalogServiceAsyncStub, item: pb.Item, *paths: str) -> Outcome:
    return await outcome_of(catalog.UpdateItem(pb.UpdateItemRequest(item=item, update_mask=FieldMask(paths=paths))))
