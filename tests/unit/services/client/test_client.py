from __future__ import annotations

import itertools
import socket
import time

import grpc
import pytest

import marquee_client
from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_LIKE, Event
from marquee_client import MarqueeClient
from services.runtime.errors import FailedPrecondition, NotFound, Unavailable
from tests.unit.services.client.canned import CannedServer, running_server


def test_recommend_sends_the_options_and_returns_the_message(server: CannedServer) -> None:
    with MarqueeClient(server.target) as client:
        response = client.recommend(
            "196", page_size=5, excluded_tags=["Horror"], diversity=0.0, reason_count=0, maximum_maturity_age=None
        )
    assert response.items[0].title == "One"
    request = server.calls[0][1]
    assert (request.user_id, request.page_size, list(request.excluded_tags)) == ("196", 5, ["Horror"])
    assert request.HasField("diversity")
    assert request.HasField("reason_count")
    assert not request.HasField("maximum_maturity_age")


def test_every_method_reaches_its_rpc(server: CannedServer) -> None:
    with MarqueeClient(server.target) as client:
        assert client.similar_items("50", page_size=3).items[0].item_id == "1"
        assert client.upsert_items([Item(item_id="a", title="A")]).created_count == 1
        assert client.get_item("a").item_id == "a"
        client.delete_item("a")
        event = Event(event_id="e", user_id="u", item_id="a", kind=EVENT_KIND_LIKE)
        assert client.write_events([event]).written_count == 1
        assert client.activate_bundle("v3").version == "v3"
        assert client.rollback_bundle().previous_version == "v2"
        assert client.serving_bundle().item_count == 7
        assert [event.sequence for event in client.export_events(after_sequence=9)] == [1, 2]
        assert [exported.item.item_id for exported in client.export_items()] == ["0", "1", "2"]
    assert server.calls[-2][1].after_sequence == 9


def test_pages_are_followed_and_fetched_as_needed(server: CannedServer) -> None:
    with MarqueeClient(server.target) as client:
        assert [item.item_id for item in client.list_items()] == ["0", "1", "2", "3", "4"]
        assert server.methods() == ["ListItems"] * 3
        assert [event.event_id for event in client.list_user_events("u")] == ["0", "1", "2"]
        server.calls.clear()
        assert len(list(itertools.islice(client.list_items(page_size=2), 2))) == 2
        assert server.methods() == ["ListItems"]


def test_an_export_may_be_left_early(server: CannedServer) -> None:
    with MarqueeClient(server.target) as client:
        assert next(client.export_items()).item.item_id == "0"
        assert client.get_item("x").item_id == "x"


def test_request_ids_and_deadlines_travel(server: CannedServer) -> None:
    with MarqueeClient(server.target, timeout=3) as client:
        client.serving_bundle()
        client.serving_bundle(timeout=30)
    with MarqueeClient(server.target, request_id="trace-7") as client:
        client.serving_bundle()
    ids = [metadata["x-request-id"] for _, _, metadata, _ in server.calls]
    assert ids[0] != ids[1]
    assert ids[2] == "trace-7"
    first, second = server.calls[0][3], server.calls[1][3]
    assert first is not None
    assert first < 4
    assert second is not None
    assert 20 < second < 31


def test_unavailable_calls_are_repeated(server: CannedServer) -> None:
    server.failures = [Unavailable("STARTING", "starting"), Unavailable("STARTING", "starting")]
    with MarqueeClient(server.target) as client:
        assert client.recommend("196").items
    assert server.methods() == ["Recommend"] * 3


@pytest.mark.parametrize("method", ["rollback_bundle", "delete_item"])
def test_calls_that_must_not_happen_twice_are_not_repeated(server: CannedServer, method: str) -> None:
    server.failures = [Unavailable("STARTING", "starting")]
    with MarqueeClient(server.target) as client, pytest.raises(marquee_client.Unavailable, match="starting"):
        getattr(client, method)(*(["1"] if method == "delete_item" else []))
    assert len(server.calls) == 1


def test_other_failures_are_not_repeated(server: CannedServer) -> None:
    server.failures = [FailedPrecondition("NO_BUNDLE", "train first")]
    with MarqueeClient(server.target) as client, pytest.raises(marquee_client.FailedPrecondition):
        client.rollback_bundle()
    assert len(server.calls) == 1


def test_failures_of_a_stream_are_mapped(server: CannedServer) -> None:
    server.failures = [NotFound("user_id", "user", "u9")]
    with MarqueeClient(server.target) as client, pytest.raises(marquee_client.NotFound) as caught:
        list(client.export_events())
    assert caught.value.resource == marquee_client.Resource("user", "u9")


def test_nobody_listening_is_unavailable_without_a_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can take the port meanwhile
        start = time.monotonic()
        with (
            MarqueeClient(f"127.0.0.1:{taken.getsockname()[1]}") as client,
            pytest.raises(marquee_client.Unavailable) as caught,
        ):
            client.recommend("196")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.reason == ""
    assert caught.value.request_id
    assert time.monotonic() - start < 5


def test_the_first_call_after_a_restart_succeeds() -> None:
    with running_server() as before, MarqueeClient(before.target) as client:
        client.serving_bundle()
        port = int(before.target.rpartition(":")[2])
        before.stop()
        time.sleep(3)  # long enough for the pauses between attempts to connect to have grown
        with running_server(port):
            assert client.recommend("196").items


def test_a_passed_deadline_is_deadline_exceeded(server: CannedServer) -> None:
    server.delay_seconds = 1.0
    with MarqueeClient(server.target) as client, pytest.raises(marquee_client.DeadlineExceeded):
        client.recommend("196", timeout=0.1)
