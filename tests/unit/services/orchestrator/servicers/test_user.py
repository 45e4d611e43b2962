"""UserService over gRPC: everything about a user comes out, and goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc

from marquee.entertainment.v1 import event_service_pb2 as event_pb
from marquee.entertainment.v1 import user_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import Taste, UserSettings
from services.orchestrator.store import Store
from services.orchestrator.store.records import Slate
from tests.support.clients import outcome_of
from tests.unit.services.orchestrator.builders import event

if TYPE_CHECKING:
    from marquee.entertainment.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from marquee.entertainment.v1.user_service_pb2_grpc import UserServiceAsyncStub

HOUR = 3_600_000_000


async def fill(store: Store, count: int) -> None:
    now = time.time_ns() // 1_000
    for start in range(0, count, 500):
        places = range(start, min(start + 500, count))
        await store.write_events("default", [event(f"e{place}", event_time=place) for place in places])
    for number in range(3):
        slate = Slate(f"s{number}", "ann", "home", now + number, now + HOUR, "b1", "new", ("heat", "ran"), b"", b"")
        await store.write_slate("default", slate)


async def test_everything_about_a_user_comes_out_in_pages(store: Store, users: UserServiceAsyncStub) -> None:
    await fill(store, 1_200)
    answers = [answer async for answer in users.ExportUser(pb.ExportUserRequest(user_id="ann"))]
    assert [len(answer.events) for answer in answers] == [1_000, 200, 0]
    assert answers[0].events[0].event_id == "e1199"
    assert [one.slate_id for one in answers[-1].lists] == ["s2", "s1", "s0"]
    assert (answers[-1].lists[0].arm, list(answers[-1].lists[0].item_ids)) == ("new", ["heat", "ran"])


async def test_an_erased_user_is_gone_and_stays_gone(
    store: Store, users: UserServiceAsyncStub, events: EventServiceAsyncStub
) -> None:
    await fill(store, 700)
    receipt = await users.EraseUser(pb.EraseUserRequest(user_id="ann"))
    assert (receipt.event_count, receipt.list_count) == (700, 3)
    gone = await outcome_of(users.ExportUser(pb.ExportUserRequest(user_id="ann")).read())
    assert gone.code is grpc.StatusCode.NOT_FOUND
    old = event_pb.Event(event_id="x", user_id="ann", item_id="heat", kind=event_pb.EVENT_KIND_LIKE)
    old.event_time.FromSeconds(1_600_000_000)
    answer = await events.WriteEvents(event_pb.WriteEventsRequest(events=[old]))
    assert (answer.written_count, answer.erased_count) == (0, 1)
    again = await users.EraseUser(pb.EraseUserRequest(user_id="ann"))
    assert again.event_count == 0


async def test_settings_are_kept_exported_and_erased(users: UserServiceAsyncStub) -> None:
    wishes = UserSettings(diversity=0.5, excluded_tags=["Horror"], tastes=[Taste(tag="Drama", weight=1)], region="DE")
    await users.SetUserSettings(pb.SetUserSettingsRequest(user_id="ann", settings=wishes))
    assert (await users.GetUserSettings(pb.GetUserSettingsRequest(user_id="ann"))).settings == wishes
    answers = [answer async for answer in users.ExportUser(pb.ExportUserRequest(user_id="ann"))]
    assert [answer.settings for answer in answers] == [wishes]
    await users.EraseUser(pb.EraseUserRequest(user_id="ann"))
    assert (await users.GetUserSettings(pb.GetUserSettingsRequest(user_id="ann"))).settings == UserSettings()


async def test_empty_settings_remove_what_was_stored(users: UserServiceAsyncStub) -> None:
    await users.SetUserSettings(pb.SetUserSettingsRequest(user_id="ann", settings=UserSettings(novelty=1)))
    await users.SetUserSettings(pb.SetUserSettingsRequest(user_id="ann"))
    gone = await outcome_of(users.ExportUser(pb.ExportUserRequest(user_id="ann")).read())
    assert gone.code is grpc.StatusCode.NOT_FOUND


async def test_settings_out_of_bounds_are_refused_by_name(users: UserServiceAsyncStub) -> None:
    wishes = UserSettings(diversity=7, tastes=[Taste(tag="", weight=1)], region="Mars")
    refused = await outcome_of(users.SetUserSettings(pb.SetUserSettingsRequest(user_id="ann", settings=wishes)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refused.violations) == {"settings.diversity", "settings.tastes[0].tag", "settings.region"}


async def test_a_user_without_id_is_refused(users: UserServiceAsyncStub) -> None:
    refused = await outcome_of(users.EraseUser(pb.EraseUserRequest()))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "user_id" in refused.violations
