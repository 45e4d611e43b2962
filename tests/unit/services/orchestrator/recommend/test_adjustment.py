"""What wishes do to the order of candidates."""

from __future__ import annotations

import pytest

from marquee.classical.v1 import classical_service_pb2 as classical_pb
from services.orchestrator.catalog.snapshot import CatalogSnapshot, build_snapshot
from services.orchestrator.recommend.adjustment import adjust, times_on_top
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.steering import Steering
from services.orchestrator.store.records import ItemRecord

RANKED = [ScoredItem("heat", 3.0), ScoredItem("ran", 2.0), ScoredItem("big", 1.0)]


@pytest.fixture
def snapshot() -> CatalogSnapshot:
    tags = {"big": ("Comedy",), "heat": ("Crime", "Drama"), "ran": ("Drama",)}
    return build_snapshot(1, [ItemRecord(name, name, "", tags[name], 0, 0, (), 0) for name in sorted(tags)], [])


def order(snapshot: CatalogSnapshot, steering: Steering, shown: dict[str, int] | None = None) -> list[str]:
    return [item.item_id for item in adjust(RANKED, snapshot, steering, shown or {})]


def test_without_wishes_nothing_moves(snapshot: CatalogSnapshot) -> None:
    assert adjust(RANKED, snapshot, Steering(), {"heat": 9}) == RANKED
    assert adjust([], snapshot, Steering(item_boosts={"heat": 1.0}), {}) == []


def test_promotions_move_items_and_tags(snapshot: CatalogSnapshot) -> None:
    assert order(snapshot, Steering(item_boosts={"big": 5.0})) == ["big", "heat", "ran"]
    assert order(snapshot, Steering(tag_boosts={"drama": -4.0})) == ["big", "heat", "ran"]
    assert order(snapshot, Steering(tag_boosts={"crime": -5.0})) == ["ran", "big", "heat"]


def test_a_boost_counts_in_standard_deviations(snapshot: CatalogSnapshot) -> None:
    [first, *_] = adjust(RANKED, snapshot, Steering(item_boosts={"heat": 2.0}), {})
    assert first.score == pytest.approx(3.0 + 2 * (2 / 3) ** 0.5)


def test_what_was_shown_often_sinks(snapshot: CatalogSnapshot) -> None:
    assert order(snapshot, Steering(fatigue=1.0), {"heat": 3}) == ["ran", "heat", "big"] or order(
        snapshot, Steering(fatigue=1.0), {"heat": 3}
    ) == ["ran", "big", "heat"]
    assert order(snapshot, Steering(fatigue=0.0), {"heat": 3}) == ["heat", "ran", "big"]


def test_the_weight_of_a_source_scales_what_it_contributed(snapshot: CatalogSnapshot) -> None:
    def ranked(item_id: str, ease: float, popularity: float) -> ScoredItem:
        features = [
            classical_pb.FeatureContribution(feature="ease", contribution=ease),
            classical_pb.FeatureContribution(feature="popularity", contribution=popularity),
        ]
        return ScoredItem(item_id, ease + popularity, classical_pb.RankedCandidate(item_id=item_id, features=features))

    items = [ranked("heat", 3.0, 0.0), ranked("ran", 0.5, 1.0)]
    changed = adjust(items, snapshot, Steering(source_weights={"ease": 0.0}), {})
    assert [(item.item_id, item.score) for item in changed] == [("ran", 1.0), ("heat", 0.0)]
    louder = adjust(items, snapshot, Steering(source_weights={"popularity": 4.0}), {})
    assert [(item.item_id, item.score) for item in louder] == [("ran", 4.5), ("heat", 3.0)]


def test_only_the_first_ten_places_count_as_shown() -> None:
    counts = times_on_top([[f"i{number}" for number in range(30)], ["i3", "i50"]])
    assert counts["i3"] == 2
    assert counts["i9"] == 1
    assert "i10" not in counts
