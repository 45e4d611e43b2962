"""What every store must do beyond items and events: change sequence, erasure, slates, routes, retention."""

from __future__ import annotations

import time

import pytest

from services.orchestrator.store import Store
from services.orchestrator.store.records import (
    Availability,
    ItemChanges,
    Retention,
    Route,
    RouteArm,
    Slate,
    WriteCounts,
)
from tests.unit.services.orchestrator.builders import event, item, vector

TENANT = "default"
DAY = 86_400_000_000
KEEP = Retention(events=None, deduplication=DAY, deletions=DAY)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each implementation in turn."""
    implementation: Store = request.getfixturevalue(f"{request.param}_store")
    return implementation


def slate(slate_id: str, **fields: object) -> Slate:
    now = time.time_ns() // 1_000
    defaults: dict[str, object] = {
        "user_id": "ann",
        "surface": "home",
        "create_time": now,
        "expire_time": now + DAY,
        "bundle_version": "b1",
        "arm": "",
        "item_ids": ("heat", "“ran”"),
        "propensities": b"\0\0\x80?" * 2,
        "content": b"\x00packed\xff",
    }
    return Slate(slate_id, **(defaults | fields))  # type: ignore[arg-type]


class TestChanges:
    async def test_an_item_keeps_where_when_and_to_whom_it_may_be_shown(self, store: Store) -> None:
        limits = Availability(("DE", "US-CA"), 5, 10, ("premium",))
        await store.upsert_items(
            TENANT, [item("a", availability=limits, locale="de", picture_uri="https://x/é.png"), item("b")]
        )
        first, second = await store.list_items(TENANT, "", 10)
        assert (first.availability, first.locale, first.picture_uri) == (limits, "de", "https://x/é.png")
        assert second.availability == Availability()

    async def test_changes_since_a_state_are_writes_vectors_and_deletions(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a"), item("b", text_vector=vector(1)), item("c")])
        before = (await store.catalog_state(TENANT)).sequence
        assert await store.item_changes(TENANT, before, 10) == ItemChanges((), (), before)
        await store.upsert_items(TENANT, [item("b", title="New", text_vector=vector(2)), item("d")])
        await store.delete_item(TENANT, "a")
        changes = await store.item_changes(TENANT, before, 10)
        assert changes is not None
        assert {one.item_id: one.title for one in changes.items} == {"b": "New", "d": "Title d"}
        assert next(one for one in changes.items if one.item_id == "b").text_vector == vector(2)
        assert changes.deleted_item_ids == ("a",)
        assert changes.sequence == (await store.catalog_state(TENANT)).sequence
        await store.upsert_items(TENANT, [item("a")])
        again = await store.item_changes(TENANT, before, 10)
        assert again is not None
        assert again.deleted_item_ids == ()

    async def test_more_changes_than_wanted_ask_for_the_whole_catalogue(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item(str(number)) for number in range(5)])
        assert await store.item_changes(TENANT, 0, 4) is None
        assert await store.item_changes(TENANT, 99, 4) is None, "a state that is not reached yet"

    async def test_deletions_are_forgotten_after_their_time(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a"), item("b")])
        before = (await store.catalog_state(TENANT)).sequence
        await store.delete_item(TENANT, "a")
        await store.maintain(Retention(events=None, deduplication=DAY, deletions=-DAY))
        assert await store.item_changes(TENANT, before, 10) is None
        now = (await store.catalog_state(TENANT)).sequence
        assert await store.item_changes(TENANT, now, 10) == ItemChanges((), (), now)

    async def test_an_item_is_replaced_only_as_it_was_read(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", text_vector=vector(1))])
        read = await store.get_item(TENANT, "a")
        assert read is not None
        assert await store.replace_item(TENANT, item("a", release_year=1999), expected_revision=read.revision)
        assert not await store.replace_item(TENANT, item("a", release_year=2000), expected_revision=read.revision)
        assert not await store.replace_item(TENANT, item("gone"), expected_revision=0)
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert (stored.release_year, stored.text_vector) == (1999, vector(1))


class TestEvents:
    async def test_the_first_content_of_an_id_stays_and_others_are_told(self, store: Store) -> None:
        assert await store.write_events(TENANT, [event("e1"), event("e2")]) == WriteCounts(2, 0)
        again = [event("e2", weight=0.5), event("e1"), event("e3"), event("e3", item_id="other")]
        assert await store.write_events(TENANT, again) == WriteCounts(1, 3, ("e2", "e3"))
        assert {one.event_id: one.weight for one in await store.list_user_events(TENANT, "ann", 9)}["e2"] == 1.0

    async def test_a_time_that_the_caller_did_not_give_is_no_difference(self, store: Store) -> None:
        await store.write_events(TENANT, [event("e1", event_time=5, has_own_time=False)])
        later = await store.write_events(TENANT, [event("e1", event_time=9, has_own_time=False)])
        assert later == WriteCounts(0, 1)
        assert (await store.list_user_events(TENANT, "ann", 9))[0].event_time == 5

    async def test_the_window_of_deduplication_ends(self, store: Store) -> None:
        await store.write_events(TENANT, [event("e1")])
        done = await store.maintain(Retention(events=None, deduplication=-DAY, deletions=DAY))
        assert done.receipts == 1
        assert await store.write_events(TENANT, [event("e1")]) == WriteCounts(1, 0)

    async def test_events_past_their_retention_go_and_the_others_stay(self, store: Store) -> None:
        await store.write_events(TENANT, [event("e1"), event("e2")])
        assert (await store.maintain(KEEP)).events == 0
        gone = 0
        for _ in range(5):
            done = await store.maintain(Retention(events=-DAY, deduplication=DAY, deletions=DAY))
            gone += done.events
            if not done.unfinished:
                break
        assert gone == 2
        assert (await store.event_totals(TENANT)).count == 0
        assert await store.write_events(TENANT, [event("e1"), event("e3")]) == WriteCounts(1, 1)
        assert (await store.list_user_events(TENANT, "ann", 9))[0].sequence == 3

    async def test_an_event_remembers_the_list_it_followed_from(self, store: Store) -> None:
        await store.write_events(TENANT, [event("e1", slate_id="s1", position=3), event("e2")])
        found = {one.event_id: (one.slate_id, one.position) for one in await store.list_user_events(TENANT, "ann", 9)}
        assert found == {"e1": ("s1", 3), "e2": ("", None)}


class TestErasure:
    async def test_a_user_is_forgotten_and_resent_events_are_dropped(self, store: Store) -> None:
        await store.write_events(
            TENANT,
            [event("e1"), event("e2", item_id="ran"), event("b1", user_id="bob"), event("u", has_own_time=False)],
        )
        await store.write_slate(TENANT, slate("s1"))
        await store.write_slate(TENANT, slate("s2", user_id="bob"))
        receipt = await store.erase_user(TENANT, "ann")
        assert (receipt.event_count, receipt.slate_count) == (3, 1)
        assert await store.list_user_events(TENANT, "ann", 9) == []
        assert await store.get_slate(TENANT, "s1") is None
        assert await store.get_slate(TENANT, "s2") is not None
        assert (await store.event_totals(TENANT)).count == 1
        assert {one.item_id: one.event_count for one in await store.item_statistics(TENANT)} == {"heat": 1}
        resent = await store.write_events(TENANT, [event("e1", weight=0.1), event("e9"), event("b1", user_id="bob")])
        assert resent == WriteCounts(0, 2, (), erased=1)
        after = event("e10", event_time=receipt.erase_time + 1)
        assert await store.write_events(TENANT, [after]) == WriteCounts(1, 0)

    async def test_erasing_is_of_one_tenant_and_may_be_repeated(self, store: Store) -> None:
        await store.write_events("other", [event("e1")])
        assert (await store.erase_user(TENANT, "ann")).event_count == 0
        assert (await store.erase_user(TENANT, "ann")).event_count == 0
        assert len(await store.list_user_events("other", "ann", 9)) == 1
        assert await store.write_events("other", [event("e2")]) == WriteCounts(1, 0)


class TestSlates:
    async def test_a_list_comes_back_to_its_tenant_until_it_expires(self, store: Store) -> None:
        kept, old = slate("s1", arm="b"), slate("s2", expire_time=5)
        await store.write_slate(TENANT, kept)
        await store.write_slate(TENANT, old)
        assert await store.get_slate(TENANT, "s1") == kept
        assert await store.get_slate("other", "s1") is None
        assert await store.get_slate(TENANT, "s2") is None
        assert (await store.maintain(KEEP)).slates == 1

    async def test_a_users_lists_are_paged_newest_first(self, store: Store) -> None:
        for number in range(5):
            await store.write_slate(TENANT, slate(f"s{number}", create_time=number // 2))
        first = await store.list_user_slates(TENANT, "ann", 3)
        last = first[-1]
        rest = await store.list_user_slates(TENANT, "ann", 3, (last.create_time, last.slate_id))
        assert [one.slate_id for one in [*first, *rest]] == ["s4", "s3", "s2", "s1", "s0"]


class TestRoutes:
    async def test_a_route_is_kept_replaced_and_deleted(self, store: Store) -> None:
        route = Route("recommend", 1, (RouteArm("new", "", "b2", 10), RouteArm("usual", "", "", 90)), "salt")
        stored = await store.set_route(TENANT, route)
        assert stored.update_time > 0
        assert (await store.recommendation_state(TENANT, "ann", 10)).route == stored
        assert (await store.recommendation_state("other", "ann", 10)).route is None
        await store.set_route(TENANT, Route("embed_text", 2, (RouteArm("a", "m", "1", 1),)))
        assert [one.task for one in await store.list_routes(TENANT)] == ["embed_text", "recommend"]
        assert await store.delete_route(TENANT, "recommend")
        assert not await store.delete_route(TENANT, "recommend")
        assert (await store.recommendation_state(TENANT, "ann", 10)).route is None


async def test_settings_are_read_with_the_state_and_erased_with_the_user(store: Store) -> None:
    await store.set_user_settings("default", "ann", b"wishes")
    await store.set_user_settings("default", "ann", b"newer")
    assert await store.user_settings("default", "ann") == b"newer"
    assert await store.user_settings("default", "bob") == b""
    assert await store.user_settings("other", "ann") == b""
    assert (await store.recommendation_state("default", "ann", 10)).settings == b"newer"
    assert (await store.recommendation_state("default", "bob", 10)).settings == b""
    await store.erase_user("default", "ann")
    assert await store.user_settings("default", "ann") == b""


async def test_lists_and_what_followed_are_read_in_pages(store: Store) -> None:
    now = time.time_ns() // 1_000
    for number in range(5):
        slate = Slate(f"s{number}", "ann", "home", now - number, now + 3_600_000_000, "b", "a", ("x",), b"", b"c")
        await store.write_slate("default", slate)
    await store.write_events("default", [event("e1", slate_id="s1", position=0, watched_fraction=0.5), event("e2")])
    first = await store.slates_between("default", now - 3, now, "", 2)
    assert [slate.slate_id for slate in first] == ["s1", "s2"]
    rest = await store.slates_between("default", now - 3, now, "s2", 2)
    assert [(slate.slate_id, slate.content) for slate in rest] == [("s3", b"")]
    assert await store.slates_between("other", 0, now, "", 2) == []
    [followed] = await store.attributed_events("default", 0, 0, 10)
    assert (followed.slate_id, followed.position, followed.watched_fraction) == ("s1", 0, 0.5)
    assert await store.attributed_events("default", 0, followed.sequence, 10) == []
