from __future__ import annotations

import asyncio
import inspect

import pytest

import marquee_client
from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee_client import AsyncMarqueeClient, MarqueeClient
from services.runtime.errors import FieldViolation, InvalidRequest, NotFound, Unavailable
from tests.unit.services.client.canned import CannedServer


async def test_every_method_reaches_its_rpc(server: CannedServer) -> None:
    async with AsyncMarqueeClient(server.target) as client:
        lists = await asyncio.gather(*(client.recommend(str(user), page_size=5) for user in range(3)))
        assert [response.items[0].title for response in lists] == ["One"] * 3
        assert (await client.similar_items("50")).items[0].item_id == "1"
        assert (await client.upsert_items([Item(item_id="a", title="A")])).created_count == 1
        assert (await client.get_item("a")).item_id == "a"
        await client.delete_item("a")
        event = Event(event_id="e", user_id="u", item_id="a", kind=EVENT_KIND_LIKE)
        assert (await client.write_events([event])).written_count == 1
        assert (await client.activate_bundle("v3")).version == "v3"
        assert (await client.rollback_bundle()).previous_version == "v2"
        assert (await client.serving_bundle()).item_count == 7
        assert [item.item_id async for item in client.list_items()] == ["0", "1", "2", "3", "4"]
        assert [event.event_id async for event in client.list_user_events("u")] == ["0", "1", "2"]
        assert [event.sequence async for event in client.export_events()] == [1, 2]
        assert [exported.item.item_id async for exported in client.export_items()] == ["0", "1", "2"]


async def test_failures_are_mapped_and_retried_as_in_the_synchronous_client(server: CannedServer) -> None:
    async with AsyncMarqueeClient(server.target, request_id="trace-8") as client:
        server.failures = [Unavailable("STARTING", "starting")]
        assert (await client.recommend("196")).items
        server.failures = [InvalidRequest([FieldViolation("page_size", "is -1")])]
        with pytest.raises(marquee_client.InvalidArgument) as caught:
            await client.recommend("196", page_size=-1)
        assert caught.value.field_violations == (marquee_client.FieldViolation("page_size", "is -1"),)
        assert caught.value.request_id == "trace-8"
        server.failures = [NotFound("user_id", "user", "u9")]
        with pytest.raises(marquee_client.NotFound):
            _ = [event async for event in client.export_events()]


def test_both_clients_offer_the_same_methods() -> None:
    def signatures(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert signatures(MarqueeClient) == signatures(AsyncMarqueeClient)
