"""Reports over a real store, SQLite and PostgreSQL."""

from __future__ import annotations

import time

import numpy
import pytest

from services.orchestrator.learning.arm_report import arm_report
from services.orchestrator.store import Store
from services.orchestrator.store.records import Slate
from tests.unit.services.orchestrator.builders import event

HOUR = 3_600_000_000
NOW = time.time_ns() // 1_000


async def show(
    store: Store, number: int, arm: str, propensities: tuple[float, ...] = (1.0, 1.0), **fields: object
) -> None:
    given: dict[str, object] = {
        "slate_id": f"s{number:03}",
        "user_id": f"u{number % 7}",
        "surface": "home",
        "create_time": NOW - HOUR,
        "expire_time": NOW + HOUR,
        "bundle_version": "b1",
        "arm": arm,
        "item_ids": ("heat", "ran"),
        "propensities": numpy.array(propensities, "<f4").tobytes(),
        "content": b"",
    }
    await store.write_slate("default", Slate(**(given | fields)))  # type: ignore[arg-type]


async def follow(
    store: Store, number: int, weight: float = 1.0, position: int = 0, watched: float | None = None
) -> None:
    followed = event(
        f"e{number}-{position}",
        user_id=f"u{number % 7}",
        slate_id=f"s{number:03}",
        position=position,
        weight=weight,
        watched_fraction=watched,
    )
    await store.write_events("default", [followed])


async def test_arms_are_compared(store: Store) -> None:
    for number in range(40):
        await show(store, number, "new" if number % 2 else "old")
        if number % 4 == 1:
            await follow(store, number, watched=0.5)
    old_first = await arm_report(store, "default", 0, NOW, "")
    new, old = old_first.arms
    assert (new.arm, new.list_count, new.followed_count, new.user_count) == ("new", 20, 10, 7)
    assert new.click_through.value == 0.5
    assert new.watched.value == pytest.approx(0.25)
    assert not new.HasField("click_through_difference")
    assert (old.arm, old.followed_count) == ("old", 0)
    assert old.click_through_difference.value == pytest.approx(-0.5)
    assert old.click_through_difference.high < 0
    assert not new.HasField("explored_ips")


async def test_what_was_disliked_is_not_followed(store: Store) -> None:
    await show(store, 1, "a")
    await follow(store, 1, weight=-1.0)
    [arm] = (await arm_report(store, "default", 0, NOW, "")).arms
    assert arm.followed_count == 0


async def test_only_lists_of_the_time_and_the_surface(store: Store) -> None:
    await show(store, 1, "a", surface="search")
    await show(store, 2, "a", create_time=NOW - 3 * HOUR)
    await show(store, 3, "a")
    [arm] = (await arm_report(store, "default", NOW - 2 * HOUR, NOW, "home")).arms
    assert arm.list_count == 1


async def test_explored_places_give_estimates(store: Store) -> None:
    for number in range(30):
        await show(store, number, "a", propensities=(0.5, 1.0))
        if number % 3 == 0:
            await follow(store, number)
    [arm] = (await arm_report(store, "default", 0, NOW, "")).arms
    # Both of the two items would have had one half, as they had: the estimate is the rate.
    assert arm.explored_ips.value == pytest.approx(1 / 3)
    assert arm.explored_snips.value == pytest.approx(1 / 3)
    assert arm.explored_snips.count == 30


async def test_more_lists_than_a_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.orchestrator.learning.arm_report._PAGE", 3)
    for number in range(10):
        await show(store, number, "a")
        await follow(store, number)
    [arm] = (await arm_report(store, "default", 0, NOW, "")).arms
    assert (arm.list_count, arm.followed_count) == (10, 10)


async def test_nothing_shown_gives_no_arm(store: Store) -> None:
    assert not (await arm_report(store, "default", 0, NOW, "")).arms
