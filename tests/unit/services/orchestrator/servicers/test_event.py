from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from marquee.entertainment.v1 import event_service_pb2 as pb
from services.orchestrator.recommend.slate_tokens import Attribution
from services.orchestrator.store import Store
from services.runtime.observability.accumulators import Counters
from tests.support.clients import outcome_of
from tests.unit.services.orchestrator.servicers.conftest import SIGNER

if TYPE_CHECKING:
    from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceAsyncStub

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOW = 1_700_000_000


def event(event_id: str, **fields: Any) -> pb.Event:
    defaults: dict[str, Any] = {"user_id": "ann", "item_id": "heat", "kind": pb.EVENT_KIND_LIKE}
    return pb.Event(**({"event_id": event_id} | defaults | fields))


async def write(events: EventServiceAsyncStub, *batch: pb.Event) -> tuple[int, int]:
    answer = await events.WriteEvents(pb.WriteEventsRequest(events=batch))
    return answer.written_count, answer.duplicate_count


class TestWriteEvents:
    async def test_every_kind_comes_back_as_it_was_sent(self, events: EventServiceAsyncStub) -> None:
        at = Timestamp(seconds=NOW - 10, nanos=123_456_000)
        batch = [
            event("1", kind=pb.EVENT_KIND_VIEW, event_time=at),
            event("2", kind=pb.EVENT_KIND_PLAY, event_time=at),
            event("3", kind=pb.EVENT_KIND_PLAY, watched_fraction=0.1, event_time=at),
            event("4", kind=pb.EVENT_KIND_RATING, rating=3.5, event_time=at),
            event("5", kind=pb.EVENT_KIND_CUSTOM, custom_weight=-9.75, event_time=at),
            event("6", kind=pb.EVENT_KIND_PURCHASE, event_time=Timestamp(seconds=-5, nanos=999_999_000)),
        ]
        assert await write(events, *batch) == (6, 0)
        listed = await events.ListUserEvents(pb.ListUserEventsRequest(user_id="ann"))
        assert sorted(listed.events, key=lambda entry: entry.event_id) == batch

    async def test_without_a_time_it_happened_now(self, events: EventServiceAsyncStub) -> None:
        await write(events, event("1"))
        [stored] = (await events.ListUserEvents(pb.ListUserEventsRequest(user_id="ann"))).events
        assert stored.event_time.ToSeconds() == NOW

    async def test_sending_again_changes_nothing(self, events: EventServiceAsyncStub) -> None:
        batch = [event("1"), event("2"), event("1", item_id="other")]
        assert await write(events, *batch) == (2, 1)
        assert await write(events, *batch) == (0, 3)
        assert len((await events.ListUserEvents(pb.ListUserEventsRequest(user_id="ann"))).events) == 2

    async def test_what_became_of_events_is_counted(
        self, events: EventServiceAsyncStub, acknowledged: Counters
    ) -> None:
        await write(events, event("1"), event("2"), event("1", item_id="other"))
        await write(events, event("1"))
        assert acknowledged.items() == {"written": 2, "duplicate": 1, "conflicting": 1}

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"event_id": ""}, "event_id"),
            ({"event_id": "x" * 129}, "event_id"),
            ({"user_id": ""}, "user_id"),
            ({"user_id": "a\tb"}, "user_id"),
            ({"item_id": ""}, "item_id"),
            ({"item_id": "i" * 129}, "item_id"),
            ({"kind": pb.EVENT_KIND_UNSPECIFIED}, "kind"),
            ({"kind": 99}, "kind"),
            ({"event_time": Timestamp(seconds=NOW + 61)}, "event_time"),
            ({"event_time": Timestamp(seconds=NOW + 60, nanos=1_000)}, "event_time"),
            ({"event_time": Timestamp(seconds=253_402_300_800)}, "event_time"),
            ({"event_time": Timestamp(seconds=-62_135_596_801)}, "event_time"),
            ({"event_time": Timestamp(seconds=2**62)}, "event_time"),
            ({"event_time": Timestamp(seconds=1, nanos=-1)}, "event_time"),
            ({"event_time": Timestamp(seconds=1, nanos=10**9)}, "event_time"),
            ({"watched_fraction": 0.5}, "watched_fraction"),
            ({"kind": pb.EVENT_KIND_PLAY, "watched_fraction": 1.01}, "watched_fraction"),
            ({"kind": pb.EVENT_KIND_PLAY, "watched_fraction": -0.01}, "watched_fraction"),
            ({"kind": pb.EVENT_KIND_PLAY, "watched_fraction": math.nan}, "watched_fraction"),
            ({"kind": pb.EVENT_KIND_RATING}, "rating"),
            ({"kind": pb.EVENT_KIND_RATING, "rating": 0.4}, "rating"),
            ({"kind": pb.EVENT_KIND_RATING, "rating": 5.1}, "rating"),
            ({"kind": pb.EVENT_KIND_RATING, "rating": math.inf}, "rating"),
            ({"rating": 3.0}, "rating"),
            ({"kind": pb.EVENT_KIND_CUSTOM}, "custom_weight"),
            ({"kind": pb.EVENT_KIND_CUSTOM, "custom_weight": 10.1}, "custom_weight"),
            ({"kind": pb.EVENT_KIND_CUSTOM, "custom_weight": math.nan}, "custom_weight"),
            ({"custom_weight": 1.0}, "custom_weight"),
        ],
    )
    async def test_one_invalid_event_refuses_the_batch_and_is_named(
        self, events: EventServiceAsyncStub, store: Store, fields: dict[str, Any], field: str
    ) -> None:
        request = pb.WriteEventsRequest(events=[event("good"), event(**({"event_id": "bad"} | fields))])
        outcome = await outcome_of(events.WriteEvents(request))
        assert outcome.code is INVALID
        assert set(outcome.violations) == {f"events[1].{field}"}
        assert (await store.event_totals("default")).count == 0

    async def test_the_limits_themselves_are_allowed(self, events: EventServiceAsyncStub) -> None:
        batch = [
            event("1" * 128, user_id="u" * 128, item_id="i" * 128, event_time=Timestamp(seconds=NOW + 60)),
            event("2", event_time=Timestamp(seconds=-62_135_596_800)),
            event("3", kind=pb.EVENT_KIND_CUSTOM, custom_weight=-10),
            event("4", kind=pb.EVENT_KIND_RATING, rating=0.5),
            event("5", kind=pb.EVENT_KIND_PLAY, watched_fraction=0),
        ]
        assert await write(events, *batch) == (5, 0)
        oldest = (await events.ListUserEvents(pb.ListUserEventsRequest(user_id="ann"))).events[-1]
        assert oldest.event_time.ToJsonString() == "0001-01-01T00:00:00Z"

    @pytest.mark.parametrize("count", [0, 1_001])
    async def test_the_number_of_events_is_limited(self, events: EventServiceAsyncStub, count: int) -> None:
        batch = [event(str(number)) for number in range(count)]
        outcome = await outcome_of(events.WriteEvents(pb.WriteEventsRequest(events=batch)))
        assert (outcome.code, set(outcome.violations)) == (INVALID, {"events"})


class TestListUserEvents:
    async def test_pages_cover_everything_once_newest_first(self, events: EventServiceAsyncStub) -> None:
        await write(events, *(event(str(n), event_time=Timestamp(seconds=1_000 + n // 7)) for n in range(250)))
        for size, sizes in ((0, [100, 100, 50]), (250, [250]), (5_000, [250])):
            found: list[list[str]] = []
            token = ""
            while not found or token:
                request = pb.ListUserEventsRequest(user_id="ann", page_size=size, page_token=token)
                page = await events.ListUserEvents(request)
                found.append([entry.event_id for entry in page.events])
                token = page.next_page_token
            assert [len(page) for page in found] == sizes
            assert [event_id for page in found for event_id in page] == [str(n) for n in reversed(range(250))]

    async def test_a_user_without_events_is_not_found(self, events: EventServiceAsyncStub) -> None:
        outcome = await outcome_of(events.ListUserEvents(pb.ListUserEventsRequest(user_id="nobody")))
        assert outcome.code is grpc.StatusCode.NOT_FOUND
        assert outcome.resource == ("user", "nobody")

    async def test_another_user_s_token_is_refused(self, events: EventServiceAsyncStub) -> None:
        await write(events, event("1"), event("2"), event("3", user_id="bob"))
        page = await events.ListUserEvents(pb.ListUserEventsRequest(user_id="ann", page_size=1))
        request = pb.ListUserEventsRequest(user_id="bob", page_token=page.next_page_token)
        outcome = await outcome_of(events.ListUserEvents(request))
        assert (outcome.code, set(outcome.violations)) == (INVALID, {"page_token"})

    @pytest.mark.parametrize(
        ("fields", "field"), [({"user_id": ""}, "user_id"), ({"user_id": "a", "page_size": -1}, "page_size")]
    )
    async def test_invalid_requests_are_named(
        self, events: EventServiceAsyncStub, fields: dict[str, Any], field: str
    ) -> None:
        outcome = await outcome_of(events.ListUserEvents(pb.ListUserEventsRequest(**fields)))
        assert (outcome.code, set(outcome.violations)) == (INVALID, {field})


class TestExportEvents:
    async def test_it_streams_in_the_order_of_storage(self, events: EventServiceAsyncStub) -> None:
        for start in range(0, 2_500, 500):
            await write(
                events, *(event(str(n), event_time=Timestamp(seconds=9_999 - n)) for n in range(start, start + 500))
            )
        parts = [part async for part in events.ExportEvents(pb.ExportEventsRequest())]
        assert [len(part.events) for part in parts] == [1_000, 1_000, 500]
        exported = [entry for part in parts for entry in part.events]
        assert [entry.sequence for entry in exported] == list(range(1, 2_501))
        assert (exported[0].user_id, exported[0].item_id, exported[0].weight) == ("ann", "heat", 1.0)
        assert exported[0].event_time.ToSeconds() == 9_999

    async def test_it_goes_on_where_training_stopped(self, events: EventServiceAsyncStub) -> None:
        await write(events, *(event(str(number)) for number in range(5)))
        [part] = [part async for part in events.ExportEvents(pb.ExportEventsRequest(after_sequence=3))]
        assert [entry.sequence for entry in part.events] == [4, 5]
        assert [part async for part in events.ExportEvents(pb.ExportEventsRequest(after_sequence=5))] == []

    async def test_a_negative_place_is_named(self, events: EventServiceAsyncStub) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in events.ExportEvents(pb.ExportEventsRequest(after_sequence=-1)):
                pass
        assert refused.value.code() is INVALID
        assert "after_sequence" in (refused.value.details() or "")


class TestStreamEvents:
    async def test_batches_are_stored_as_they_come(self, events: EventServiceAsyncStub) -> None:
        batches = [[event("1"), event("2")], [event("2", item_id="other"), event("3")]]
        answer = await events.StreamEvents(iter([pb.StreamEventsRequest(events=batch) for batch in batches]))
        assert (answer.batch_count, answer.written_count, answer.duplicate_count) == (2, 3, 1)
        assert answer.conflicting_event_ids == ["2"]

    async def test_a_bad_batch_is_named_and_those_before_it_stay(self, events: EventServiceAsyncStub) -> None:
        batches = [[event("1")], [event("2"), event("3", kind=99)], [event("4")]]
        refused = await outcome_of(
            events.StreamEvents(iter([pb.StreamEventsRequest(events=batch) for batch in batches]))
        )
        assert refused.code is INVALID
        assert "batches[1].events[1].kind" in refused.violations
        assert refused.metadata["stored_batches"] == "1"
        listed = await events.ListUserEvents(pb.ListUserEventsRequest(user_id="ann"))
        assert [entry.event_id for entry in listed.events] == ["1"]

    async def test_an_upload_that_breaks_off_keeps_what_was_stored(
        self, events: EventServiceAsyncStub, store: Store
    ) -> None:
        call = events.StreamEvents()
        await call.write(pb.StreamEventsRequest(events=[event("1")]))
        while (await store.event_totals("default")).count == 0:
            await asyncio.sleep(0.01)
        call.cancel()
        again = await events.StreamEvents(iter([pb.StreamEventsRequest(events=[event("1"), event("2")])]))
        assert (again.written_count, again.duplicate_count) == (1, 1)

    async def test_nothing_is_nothing(self, events: EventServiceAsyncStub) -> None:
        assert await events.StreamEvents(iter([])) == pb.StreamEventsResponse()


class TestAttribution:
    async def test_an_event_remembers_the_list_it_followed_from(
        self, events: EventServiceAsyncStub, store: Store
    ) -> None:
        token = SIGNER.attribution("default", "ann", "heat", Attribution("ab" * 16, 4), (NOW + 60) * 1_000_000)
        assert await write(events, event("1", attribution_token=token)) == (1, 0)
        [stored] = await store.list_user_events("default", "ann", 9)
        assert (stored.slate_id, stored.position) == ("ab" * 16, 4)

    @pytest.mark.parametrize("fields", [{"user_id": "bob"}, {"item_id": "ran"}, {"attribution_token": "forged"}])
    async def test_a_foreign_or_forged_token_is_refused(
        self, events: EventServiceAsyncStub, fields: dict[str, str]
    ) -> None:
        token = SIGNER.attribution("default", "ann", "heat", Attribution("ab" * 16, 4), (NOW + 60) * 1_000_000)
        batch = [event("0"), event("1", **({"attribution_token": token} | fields))]
        refused = await outcome_of(events.WriteEvents(pb.WriteEventsRequest(events=batch)))
        assert refused.code is INVALID
        assert list(refused.violations) == ["events[1].attribution_token"]
