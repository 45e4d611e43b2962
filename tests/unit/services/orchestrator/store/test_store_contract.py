"""What every store must do. Another implementation joins by a parameter of the `store` fixture."""

from __future__ import annotations

import asyncio
import random

import grpc
import pytest

from services.orchestrator.store import Store
from services.orchestrator.store.records import (
    BundlePointer,
    CatalogState,
    DescribedPicture,
    EventPosition,
    EventTotals,
    ItemStatistics,
    PictureUpdate,
    Route,
    RouteArm,
    TextVectorUpdate,
    UpsertCounts,
    UserEvent,
    WriteCounts,
)
from services.runtime.errors import FailedPrecondition, ServiceError
from tests.unit.services.orchestrator.builders import LIKE, event, item, picture, vector

TENANT = "default"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each implementation in turn."""
    implementation: Store = request.getfixturevalue(f"{request.param}_store")
    return implementation


class TestItems:
    async def test_an_item_comes_back_as_it_was_written(self, store: Store) -> None:
        written = item(
            "heat",
            title="Heat – “Hitze”",
            description="A thief\nand a detective. \U0001f3ac",
            tags=("Crime", "Drama"),
            maturity_age=16,
            release_year=1995,
            text_vector=vector(0.5, -0.25),
            picture=DescribedPicture(("mask", "street"), vector(1, 2, 3, model="pixels")),
        )
        assert await store.upsert_items(TENANT, [written]) == UpsertCounts(created=1, updated=0)
        stored = await store.get_item(TENANT, "heat")
        assert stored is not None
        assert stored.title == written.title
        assert stored.description == written.description
        assert stored.tags == written.tags
        assert (stored.maturity_age, stored.release_year) == (16, 1995)
        assert stored.picture_labels == ("mask", "street")
        assert stored.text_vector == written.text_vector
        assert stored.picture_vector == vector(1, 2, 3, model="pixels")
        assert stored.update_time > 1_600_000_000_000_000

    async def test_created_and_replaced_items_are_told_apart(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a"), item("b")])
        assert await store.upsert_items(TENANT, [item("b", title="New"), item("c")]) == UpsertCounts(1, 1)
        stored = await store.get_item(TENANT, "b")
        assert stored is not None
        assert stored.title == "New"
        assert (await store.catalog_state(TENANT)).item_count == 3

    async def test_lists_are_ordered_by_the_bytes_of_the_id_and_paged(self, store: Store) -> None:
        ids = ["Z", "a", "aa", "b", "é", "中", "\U0001f3ac", "10", "9"]
        await store.upsert_items(TENANT, [item(item_id) for item_id in ids])
        expected = sorted(ids, key=lambda item_id: item_id.encode())
        found: list[str] = []
        while page := await store.list_items(TENANT, found[-1] if found else "", 2):
            found += [record.item_id for record in page]
        assert found == expected
        assert [entry.item_id async for page in store.all_items(TENANT, page_size=4) for entry in page] == expected

    async def test_a_list_leaves_vectors_out_unless_asked(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", text_vector=vector(1))])
        assert (await store.list_items(TENANT, "", 10))[0].text_vector is None
        assert (await store.list_items(TENANT, "", 10, with_vectors=True))[0].text_vector == vector(1)

    async def test_a_deleted_item_is_gone_with_its_picture_and_its_events_stay(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("heat", picture=picture())])
        await store.write_events(TENANT, [event("e1")])
        assert await store.delete_item(TENANT, "heat")
        assert not await store.delete_item(TENANT, "heat")
        assert await store.get_item(TENANT, "heat") is None
        assert await store.waiting_pictures(10) == []
        assert (await store.catalog_state(TENANT)).item_count == 0
        assert len(await store.user_history(TENANT, "ann", 10)) == 1

    async def test_every_change_moves_the_catalogue_counter(self, store: Store) -> None:
        assert await store.catalog_state(TENANT) == CatalogState(0, 0)
        await store.upsert_items(TENANT, [item("a"), item("b")])
        first = (await store.catalog_state(TENANT)).sequence
        await store.delete_item(TENANT, "a")
        second = (await store.catalog_state(TENANT)).sequence
        await store.delete_item(TENANT, "a")
        assert first < second == (await store.catalog_state(TENANT)).sequence

    async def test_a_batch_is_stored_whole_or_not_at_all(self, store: Store) -> None:
        impossible = item("b", title=None)
        with pytest.raises(ServiceError):
            await store.upsert_items(TENANT, [item("a"), impossible])
        assert await store.get_item(TENANT, "a") is None
        assert await store.catalog_state(TENANT) == CatalogState(0, 0)

    async def test_tenants_do_not_see_each_other(self, store: Store) -> None:
        await store.upsert_items("one", [item("a")])
        await store.write_events("one", [event("e1")])
        await store.set_bundle("one", "v1", expected="")
        assert await store.get_item("two", "a") is None
        assert await store.list_items("two", "", 10) == []
        assert not await store.delete_item("two", "a")
        assert await store.write_events("two", [event("e1")]) == WriteCounts(1, 0)
        assert await store.event_totals("two") == EventTotals(1, 1)
        assert await store.bundle_pointer("two") == BundlePointer()
        assert (await store.recommendation_state("three", "ann", 10)).event_count == 0


class TestWaiting:
    async def test_an_item_without_a_vector_waits_for_one(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", tags=("Drama",)), item("b", text_vector=vector(1))])
        [waiting] = await store.waiting_texts(10)
        assert (waiting.tenant, waiting.item_id, waiting.tags) == (TENANT, "a", ("Drama",))
        before = await store.catalog_state(TENANT)
        assert await store.set_text_vectors([TextVectorUpdate(TENANT, "a", waiting.revision, vector(2))]) == 1
        assert await store.waiting_texts(10) == []
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert stored.text_vector == vector(2)
        assert (await store.catalog_state(TENANT)).sequence > before.sequence

    async def test_a_vector_of_an_older_text_is_dropped(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a")])
        [waiting] = await store.waiting_texts(10)
        await store.upsert_items(TENANT, [item("a", title="Other")])
        assert await store.set_text_vectors([TextVectorUpdate(TENANT, "a", waiting.revision, vector(2))]) == 0
        assert len(await store.waiting_texts(10)) == 1

    async def test_a_text_that_is_given_up_waits_no_more(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a")])
        [waiting] = await store.waiting_texts(10)
        await store.set_text_vectors([TextVectorUpdate(TENANT, "a", waiting.revision, None)])
        assert await store.waiting_texts(10) == []

    async def test_an_unchanged_text_keeps_its_vector_when_none_is_given(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", text_vector=vector(1))])
        await store.upsert_items(TENANT, [item("a", maturity_age=12)])
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert stored.text_vector == vector(1)
        assert await store.waiting_texts(10) == []

    @pytest.mark.parametrize("change", [{"title": "New"}, {"description": "New"}, {"tags": ("New",)}])
    async def test_a_changed_text_loses_its_vector(self, store: Store, change: dict[str, object]) -> None:
        await store.upsert_items(TENANT, [item("a", text_vector=vector(1))])
        await store.upsert_items(TENANT, [item("a", **change)])
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert stored.text_vector is None
        assert len(await store.waiting_texts(10)) == 1

    async def test_a_picture_waits_until_it_is_described(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", picture=picture(b"cat"))])
        [waiting] = await store.waiting_pictures(10)
        assert waiting.picture == picture(b"cat")
        described = DescribedPicture(("cat",), vector(1))
        assert await store.set_pictures([PictureUpdate(TENANT, "a", waiting.revision, described)]) == 1
        assert await store.waiting_pictures(10) == []
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert (stored.picture_labels, stored.picture_vector) == (("cat",), vector(1))

    async def test_a_kept_picture_survives_an_upsert_without_one(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", picture=DescribedPicture(("cat",), vector(1)))])
        await store.upsert_items(TENANT, [item("b", picture=picture())])
        await store.upsert_items(TENANT, [item("a", title="New"), item("b", title="New")])
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert stored.picture_labels == ("cat",)
        assert [waiting.item_id for waiting in await store.waiting_pictures(10)] == ["b"]

    async def test_a_newer_picture_replaces_the_kept_and_the_waiting_one(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a", picture=DescribedPicture(("cat",), vector(1)))])
        await store.upsert_items(TENANT, [item("a", picture=picture(b"dog"))])
        [old] = await store.waiting_pictures(10)
        await store.upsert_items(TENANT, [item("a", picture=picture(b"bird"))])
        late = PictureUpdate(TENANT, "a", old.revision, DescribedPicture(("dog",), vector(2)))
        assert await store.set_pictures([late]) == 0
        stored = await store.get_item(TENANT, "a")
        assert stored is not None
        assert (stored.picture_labels, stored.picture_vector) == ((), None)
        assert [waiting.picture for waiting in await store.waiting_pictures(10)] == [picture(b"bird")]


class TestEvents:
    async def test_an_event_comes_back_as_it_was_written(self, store: Store) -> None:
        written = event("e1", kind=6, weight=0.5, event_time=-5, watched_fraction=0.25, rating=2.5)
        assert await store.write_events(TENANT, [written]) == WriteCounts(1, 0)
        [stored] = await store.list_user_events(TENANT, "ann", 10)
        assert (stored.event_id, stored.user_id, stored.item_id) == ("e1", "ann", "heat")
        assert (stored.kind, stored.weight, stored.event_time) == (6, 0.5, -5)
        assert (stored.watched_fraction, stored.rating, stored.sequence) == (0.25, 2.5, 1)
        assert stored.receive_time > 1_600_000_000_000_000

    async def test_an_event_counts_once(self, store: Store) -> None:
        assert await store.write_events(TENANT, [event("e1"), event("e1"), event("e2")]) == WriteCounts(2, 1)
        again = [event("e1", item_id="other", weight=-1.0), event("e3")]
        assert await store.write_events(TENANT, again) == WriteCounts(1, 1, conflicts=("e1",))
        assert await store.event_totals(TENANT) == EventTotals(count=3, maximum_sequence=3)
        assert await store.item_statistics(TENANT) == [ItemStatistics("heat", 3, 3.0, 1_000)]

    async def test_events_count_once_however_many_writers_send_them(self, store: Store) -> None:
        """Fifty writers send overlapping batches; each event is stored by exactly one of them."""
        chooser = random.Random(7)
        batches = [[event(f"e{chooser.randrange(300)}") for _ in range(40)] for _ in range(50)]
        counts = await asyncio.gather(*(store.write_events(TENANT, batch) for batch in batches))
        distinct = {entry.event_id for batch in batches for entry in batch}
        assert sum(count.written for count in counts) == len(distinct)
        assert sum(count.written + count.duplicates for count in counts) == 2_000
        exported = [
            entry async for page in store.export_events(TENANT, after_sequence=0, page_size=64) for entry in page
        ]
        assert {entry.event_id for entry in exported} == distinct
        assert [entry.sequence for entry in exported] == list(range(1, len(distinct) + 1))
        assert await store.event_totals(TENANT) == EventTotals(len(distinct), len(distinct))
        [statistics] = await store.item_statistics(TENANT)
        assert statistics.event_count == len(distinct)

    async def test_late_events_take_their_place(self, store: Store) -> None:
        await store.write_events(TENANT, [event("e2", event_time=20), event("e3", event_time=30)])
        await store.write_events(TENANT, [event("e1", event_time=10), event("e2b", event_time=20)])
        newest = await store.list_user_events(TENANT, "ann", 10)
        assert [entry.event_id for entry in newest] == ["e3", "e2b", "e2", "e1"]
        history = await store.user_history(TENANT, "ann", 2)
        assert history == [UserEvent("heat", 1.0, LIKE, 20, 4), UserEvent("heat", 1.0, LIKE, 30, 2)]

    async def test_a_history_is_paged_without_gaps_between_equal_times(self, store: Store) -> None:
        await store.write_events(TENANT, [event(f"e{number}", event_time=number // 4) for number in range(20)])
        found: list[str] = []
        before: EventPosition | None = None
        while page := await store.list_user_events(TENANT, "ann", 3, before):
            found += [entry.event_id for entry in page]
            before = EventPosition(page[-1].event_time, page[-1].sequence)
        assert found == [f"e{number}" for number in reversed(range(20))]

    async def test_an_export_ends_with_what_was_stored_when_it_began(self, store: Store) -> None:
        await store.write_events(TENANT, [event(f"e{number}") for number in range(10)])
        seen: list[int] = []
        async for page in store.export_events(TENANT, after_sequence=4, page_size=3):
            seen += [entry.sequence for entry in page]
            await store.write_events(TENANT, [event(f"later{len(seen)}")])
        assert seen == [5, 6, 7, 8, 9, 10]

    async def test_statistics_add_positive_weights_and_keep_the_newest_time(self, store: Store) -> None:
        await store.write_events(
            TENANT, [event("1", weight=1.5, event_time=50), event("2", weight=-1.0, event_time=90)]
        )
        await store.write_events(
            TENANT, [event("3", weight=0.5, event_time=10), event("4", item_id="other", weight=0.0)]
        )
        found = {entry.item_id: entry for entry in await store.item_statistics(TENANT)}
        assert found == {"heat": ItemStatistics("heat", 3, 2.0, 90), "other": ItemStatistics("other", 1, 0.0, 1_000)}

    async def test_any_valid_value_survives_the_packed_read(self, store: Store) -> None:
        """A history is packed inside the database; no text or number may change on the way."""
        chooser = random.Random(3)
        odd = ['"', "\\", "a'b", "é", "中\u2028", "\U0001f3ac", "\uffff", "\x7f" * 128, "null", "1e5", " x "]
        times = [-62_135_596_800_000_000, 253_402_300_799_999_999, 0, *(chooser.randrange(10**17) for _ in range(8))]
        written = [
            event(f"e{number}", item_id=item_id, event_time=time, weight=chooser.uniform(-10, 10), user_id='o"\\')
            for number, (item_id, time) in enumerate(zip(odd, times, strict=True))
        ]
        await store.write_events(TENANT, written)
        history = await store.user_history(TENANT, 'o"\\', 100)
        expected = sorted(written, key=lambda entry: entry.event_time)
        assert [entry.item_id for entry in history] == [entry.item_id for entry in expected]
        assert [entry.event_time for entry in history] == [entry.event_time for entry in expected]
        assert [entry.weight for entry in history] == pytest.approx([entry.weight for entry in expected], rel=1e-12)


class TestRecommendationState:
    async def test_it_holds_everything_as_of_one_moment(self, store: Store) -> None:
        await store.upsert_items(TENANT, [item("a")])
        await store.set_bundle(TENANT, "v1", expected="")
        events = [event(f"e{number}", item_id=f"i{number}", event_time=number) for number in range(5)]
        await store.write_events(TENANT, [*events, event("x", user_id="bob", item_id="other")])
        state = await store.recommendation_state(TENANT, "ann", 3)
        assert [entry.item_id for entry in state.history] == ["i2", "i3", "i4"]
        assert state.seen_item_ids == {"i0", "i1", "i2", "i3", "i4"}
        assert state.event_count == 5
        assert state.catalog_sequence == (await store.catalog_state(TENANT)).sequence
        assert state.bundle == await store.bundle_pointer(TENANT)
        assert state.bundle.version == "v1"
        assert state.history == await store.user_history(TENANT, "ann", 3)

    async def test_an_unknown_user_of_an_empty_tenant_has_nothing(self, store: Store) -> None:
        state = await store.recommendation_state(TENANT, "nobody", 100)
        assert (state.history, state.seen_item_ids, state.event_count) == ([], frozenset(), 0)
        assert (state.catalog_sequence, state.bundle) == (0, BundlePointer())

    async def test_the_newest_event_is_in_the_very_next_read(self, store: Store) -> None:
        for number in range(20):
            await store.write_events(TENANT, [event(f"e{number}", item_id=f"i{number}", event_time=number)])
            state = await store.recommendation_state(TENANT, "ann", 5)
            assert state.history[-1].item_id == f"i{number}"


class TestModerationPolicies:
    async def test_each_write_is_a_version_and_old_ones_stay(self, store: Store) -> None:
        first = await store.add_moderation_policy(TENANT, "default", b"one", expected=0)
        second = await store.add_moderation_policy(TENANT, "default", b"two", expected=1)
        assert (first.version, second.version) == (1, 2)
        assert second.create_time >= first.create_time > 0
        assert await store.moderation_policy(TENANT, "default", 0) == second
        assert await store.moderation_policy(TENANT, "default", 1) == first
        assert await store.moderation_policy(TENANT, "default", 3) is None
        assert await store.moderation_policy("other", "default", 0) is None

    async def test_a_write_that_expected_another_version_changes_nothing(self, store: Store) -> None:
        await store.add_moderation_policy(TENANT, "default", b"one", expected=0)
        with pytest.raises(FailedPrecondition, match="at version 1, not 4"):
            await store.add_moderation_policy(TENANT, "default", b"two", expected=4)
        assert len(await store.moderation_policies(TENANT, 10)) == 1

    async def test_writers_at_the_same_time_each_make_a_version(self, store: Store) -> None:
        stored = await asyncio.gather(
            *(store.add_moderation_policy(TENANT, "default", b"%d" % number, expected=0) for number in range(8))
        )
        assert sorted(each.version for each in stored) == list(range(1, 9))
        for each in stored:
            assert await store.moderation_policy(TENANT, "default", each.version) == each

    async def test_of_writers_who_expect_the_same_version_one_writes(self, store: Store) -> None:
        await store.add_moderation_policy(TENANT, "default", b"one", expected=0)
        outcomes = await asyncio.gather(
            *(store.add_moderation_policy(TENANT, "default", b"%d" % number, expected=1) for number in range(8)),
            return_exceptions=True,
        )
        assert [isinstance(each, FailedPrecondition) for each in outcomes].count(True) == 7
        assert [policy.version for policy in await store.moderation_policies(TENANT, 10)] == [2, 1]

    async def test_the_newest_come_first_and_names_do_not_mix(self, store: Store) -> None:
        for name in ("a", "b", "a"):
            await store.add_moderation_policy(TENANT, name, name.encode(), expected=0)
        assert sorted((each.name, each.version) for each in await store.moderation_policies(TENANT, 10)) == [
            ("a", 1),
            ("a", 2),
            ("b", 1),
        ]
        assert len(await store.moderation_policies(TENANT, 2)) == 2


class TestBundles:
    async def test_activation_remembers_what_served_before(self, store: Store) -> None:
        first = await store.set_bundle(TENANT, "v1", expected="")
        assert (first.version, first.previous_version) == ("v1", "")
        second = await store.set_bundle(TENANT, "v2", expected="v1")
        assert (second.version, second.previous_version) == ("v2", "v1")
        assert second.change_time >= first.change_time > 0
        assert await store.bundle_pointer(TENANT) == second

    async def test_tenants_with_bundles_or_routes_are_known(self, store: Store) -> None:
        assert await store.bundle_tenants() == []
        await store.set_bundle("studio", "v1", expected="")
        await store.set_bundle("arcade", "v1", expected="")
        await store.set_route("arcade", Route("recommend", 1, (RouteArm("new", "", "v2", 1),)))
        await store.set_route("lounge", Route("recommend", 1, (RouteArm("new", "", "v2", 1),)))
        await store.write_events("silent", [event("e1")])
        assert await store.bundle_tenants() == ["arcade", "lounge", "studio"]

    async def test_activating_the_serving_one_changes_nothing(self, store: Store) -> None:
        await store.set_bundle(TENANT, "v1", expected="")
        before = await store.set_bundle(TENANT, "v2", expected="v1")
        assert await store.set_bundle(TENANT, "v2", expected="v2") == before

    async def test_rolling_back_swaps(self, store: Store) -> None:
        await store.set_bundle(TENANT, "v1", expected="")
        await store.set_bundle(TENANT, "v2", expected="v1")
        back = await store.rollback_bundle(TENANT, expected="v2")
        assert (back.version, back.previous_version) == ("v1", "v2")
        forth = await store.rollback_bundle(TENANT, expected="v1")
        assert (forth.version, forth.previous_version) == ("v2", "v1")

    async def test_there_must_be_one_to_go_back_to(self, store: Store) -> None:
        with pytest.raises(FailedPrecondition) as nothing:
            await store.rollback_bundle(TENANT, expected="")
        assert nothing.value.reason == "NO_PREVIOUS_BUNDLE"

    async def test_of_two_that_decide_at_once_one_is_told(self, store: Store) -> None:
        await store.set_bundle(TENANT, "v1", expected="")
        outcomes = await asyncio.gather(
            *(store.set_bundle(TENANT, version, expected="v1") for version in ("v2", "v3", "v4")),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, ServiceError)]
        assert len(refused) == 2
        assert {error.code for error in refused} == {grpc.StatusCode.ABORTED}
        assert {error.reason for error in refused} == {"BUNDLE_CHANGED"}
        with pytest.raises(ServiceError):
            await store.rollback_bundle(TENANT, expected="v1")


class TestClosing:
    async def test_a_closed_store_says_so(self, store: Store) -> None:
        await store.close()
        for call in (store.get_item(TENANT, "a"), store.write_events(TENANT, [event("e1")])):
            with pytest.raises(ServiceError) as closed:
                await call
            assert (closed.value.code, closed.value.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_CLOSED")
        await store.close()
