"""Both clients against a real orchestrator: what they need for events, users, items and routes."""

from __future__ import annotations

import pytest

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee.entertainment.v1.route_service_pb2 import Route, RouteArm
from marquee_client import AsyncMarqueeClient, InvalidArgument, MarqueeClient, NotFound


def event(event_id: str, item_id: str = "f1") -> Event:
    return Event(event_id=event_id, user_id="u1", item_id=item_id, kind=EVENT_KIND_LIKE)


ITEMS = [Item(item_id=f"f{number}", title=f"Film {number}") for number in range(25)]
ROUTE = Route(task="recommend", arms=[RouteArm(name="usual", weight=1)])


def test_sync(target: str) -> None:
    with MarqueeClient(target) as client:
        answer = client.upsert_items([*ITEMS, Item(item_id="bad")], keep_valid=True)
        assert (answer.created_count, answer.refused_items[0].item_id) == (25, "bad")
        assert client.update_item(Item(item_id="f1", title="New"), ["title"]).title == "New"
        assert client.stream_events([[event("e1")], [event("e1"), event("e2")]]).written_count == 2
        with pytest.raises(InvalidArgument) as refused:
            client.stream_events([[event("e3")], [Event()]])
        assert refused.value.field_violations[0].field.startswith("batches[1].events[0]")
        assert client.set_route(ROUTE).arms[0].name == "usual"
        first = client.recommend("u1", page_size=10)
        second = client.recommend("u1", page_size=10, page_token=first.next_page_token)
        third = client.recommend("u1", page_size=10, page_token=second.next_page_token)
        assert len({item.item_id for page in (first, second, third) for item in page.items}) == 24
        assert not third.next_page_token
        assert first.arm == "usual"
        parts = list(client.export_user("u1"))
        assert [len(part.events) for part in parts] == [3, 0]
        assert len(parts[1].lists) == 1
        client.delete_route("recommend")
        assert client.list_routes() == []
        assert client.erase_user("u1").event_count == 3
        with pytest.raises(NotFound):
            list(client.export_user("u1"))


async def test_async(target: str) -> None:
    async with AsyncMarqueeClient(target) as client:
        answer = await client.upsert_items([*ITEMS, Item(item_id="bad")], keep_valid=True)
        assert (answer.created_count, answer.refused_items[0].item_id) == (25, "bad")
        assert (await client.update_item(Item(item_id="f1", title="New"), ["title"])).title == "New"
        assert (await client.stream_events([[event("e1")], [event("e1"), event("e2")]])).written_count == 2
        with pytest.raises(InvalidArgument):
            await client.stream_events([[Event()]])
        assert (await client.set_route(ROUTE)).arms[0].name == "usual"
        assert [route.task for route in await client.list_routes()] == ["recommend"]
        await client.delete_route("recommend")
        assert [len(part.events) async for part in client.export_user("u1")] == [2]
        assert (await client.erase_user("u1")).event_count == 2
