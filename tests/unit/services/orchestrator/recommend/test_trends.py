"""Fading counts over a real store."""

from __future__ import annotations

import pytest

from services.orchestrator.recommend.trends import Trends
from services.orchestrator.store import Store
from tests.unit.services.orchestrator.builders import event

DAY = 86_400_000_000


async def known(trends: Trends) -> dict[str, float]:
    trends.leaders("default")
    await trends.settle("default")
    return dict(trends.leaders("default"))


async def test_an_event_counts_half_after_the_half_life(store: Store) -> None:
    old = event("e1", item_id="heat", event_time=10 * DAY)
    new = event("e2", item_id="ran", event_time=17 * DAY)
    await store.write_events("default", [old, new])
    scores = await known(Trends(store, half_life_days=7))
    assert scores["ran"] / scores["heat"] == pytest.approx(2.0)


async def test_dislikes_do_not_count(store: Store) -> None:
    await store.write_events("default", [event("e1", item_id="heat", weight=-1.0)])
    assert await known(Trends(store, half_life_days=7)) == {}


async def test_new_events_come_in_without_a_second_count_of_the_old(store: Store) -> None:
    seconds = [0.0]
    trends = Trends(store, half_life_days=7, clock=lambda: seconds[0])
    await store.write_events("default", [event("e1", item_id="heat", event_time=DAY)])
    first = (await known(trends))["heat"]
    await store.write_events("default", [event("e2", item_id="ran", event_time=DAY)])
    assert "ran" not in await known(trends), "it looks again after a pause only"
    seconds[0] = 60.0
    assert await known(trends) == {"heat": first, "ran": first}


async def test_years_between_events_do_not_overflow(store: Store) -> None:
    events = [event(f"e{year}", item_id=f"of-{year}", event_time=year * 365 * DAY) for year in (1, 30, 50)]
    await store.write_events("default", events)
    scores = await known(Trends(store, half_life_days=0.5))
    assert scores["of-50"] > 0
    assert all(value < float("inf") for value in scores.values())


async def test_nothing_is_known_at_first(store: Store) -> None:
    trends = Trends(store, half_life_days=7)
    assert not trends.leaders("default")
    await trends.close()
