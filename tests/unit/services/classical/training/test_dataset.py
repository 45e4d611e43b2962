from __future__ import annotations

import numpy as np
import pytest

from services.classical.training.dataset import CatalogueTooLarge, Event, Interactions, check_catalogue
from services.classical.training.options import LARGEST_CATALOGUE

EVENTS = [
    Event("ben", "b", time=5, weight=0.5, sequence=1),
    Event("ann", "c", time=9, weight=1, sequence=2),
    Event("ann", "a", time=3, weight=1, sequence=5),
    Event("ann", "b", time=3, weight=-1, sequence=4),
    Event("ann", "gone", time=1, weight=1, sequence=3),
]


def test_events_are_sorted_by_user_time_and_sequence_and_unknown_items_are_skipped() -> None:
    interactions = Interactions.from_events(EVENTS, ["a", "b", "c", "d"])
    assert interactions.user_ids == ("ann", "ben")
    np.testing.assert_array_equal(interactions.offsets, [0, 3, 4])
    np.testing.assert_array_equal(interactions.items, [1, 0, 2, 1])
    np.testing.assert_allclose(interactions.weights, [-1, 1, 1, 0.5])
    np.testing.assert_array_equal(interactions.users, [0, 0, 0, 1])
    assert (interactions.item_count, interactions.user_count, interactions.event_count) == (4, 2, 4)
    assert interactions.watermark == 5


def test_no_events_are_fine() -> None:
    interactions = Interactions.from_events([], ["a"])
    assert (interactions.user_count, interactions.event_count, interactions.watermark) == (0, 0, 0)
    assert interactions.without_newest(1).event_count == 0
    assert interactions.with_shuffled_ties(1).event_count == 0


def test_the_newest_events_of_each_user_can_be_left_out() -> None:
    shorter = Interactions.from_events(EVENTS, ["a", "b", "c"]).without_newest(2)
    assert shorter.user_ids == ("ann", "ben")
    np.testing.assert_array_equal(shorter.offsets, [0, 1, 1])
    np.testing.assert_array_equal(shorter.items, [1])
    each = Interactions.from_events(EVENTS, ["a", "b", "c"]).without_newest(np.array([1, 0]))
    np.testing.assert_array_equal(each.items, [1, 0, 1])


def test_shuffling_moves_ties_only() -> None:
    events = [Event("ann", f"{number}", time=number // 10, sequence=number) for number in range(40)]
    interactions = Interactions.from_events(events, [f"{number}" for number in range(40)])
    first, again, other = (interactions.with_shuffled_ties(seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.items, again.items)
    assert not np.array_equal(first.items, other.items)
    assert not np.array_equal(first.items, interactions.items)
    np.testing.assert_array_equal(first.items // 10, interactions.items // 10)
    np.testing.assert_array_equal(np.sort(first.items), interactions.items)


def test_only_the_first_positive_event_with_an_item_is_worth_predicting() -> None:
    events = [
        Event("ann", "a", 1),
        Event("ann", "a", 2),
        Event("ann", "b", 3, weight=-1),
        Event("ann", "b", 4),
        Event("ben", "a", 1),
    ]
    interactions = Interactions.from_events(events, ["a", "b"])
    np.testing.assert_array_equal(interactions.first_positive(), [True, False, False, False, True])


def test_the_hash_changes_with_the_data() -> None:
    one = Interactions.from_events(EVENTS, ["a", "b", "c"])
    assert one.sha256() == Interactions.from_events(reversed(EVENTS), ["a", "b", "c"]).sha256()
    assert one.sha256() != Interactions.from_events(EVENTS[:-2], ["a", "b", "c"]).sha256()
    assert one.sha256() != Interactions.from_events(EVENTS, ["a", "b", "c", "d"]).sha256()


def test_a_catalogue_past_the_limit_is_refused_by_name_of_the_limit() -> None:
    check_catalogue([str(number) for number in range(LARGEST_CATALOGUE)])
    with pytest.raises(CatalogueTooLarge, match="1,000,001 items; a bundle holds at most 1,000,000"):
        Interactions.from_events([], [str(number) for number in range(LARGEST_CATALOGUE + 1)])


@pytest.mark.parametrize("item_ids", [[], ["a", "a"], ["a\nb"], ["a\rb"], [""]])
def test_a_catalogue_that_no_bundle_can_hold_is_refused(item_ids: list[str]) -> None:
    with pytest.raises(ValueError, match=r"item|catalogue"):
        check_catalogue(item_ids)


@pytest.mark.parametrize("event", [Event("ann", "a", float("nan")), Event("ann", "a", 1, float("inf"))])
def test_numbers_that_are_not_finite_are_refused(event: Event) -> None:
    with pytest.raises(ValueError, match="finite"):
        Interactions.from_events([event], ["a"])
