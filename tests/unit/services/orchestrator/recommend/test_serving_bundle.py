from __future__ import annotations

import numpy

from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.recommend.serving_bundle import ServingBundle
from tests.unit.services.orchestrator.recommend.catalogue import bundle_of, mask_without, snapshot_of


def allowed_items(bundle: ServingBundle, snapshot: CatalogSnapshot, *hidden: str) -> list[str]:
    """Return the items whose bit is set, by the contract's rule."""
    packed = bundle.pack_allowed(snapshot, mask_without(snapshot, *hidden))
    assert len(packed) == (len(bundle.item_ids) + 7) // 8
    return [item_id for row, item_id in enumerate(bundle.item_ids) if packed[row // 8] >> (row % 8) & 1]


def test_a_bit_is_the_row_of_the_bundle_not_of_the_catalogue() -> None:
    bundle = bundle_of("c", "a", "b")
    snapshot = snapshot_of("a", "b", "c", "d")
    assert allowed_items(bundle, snapshot) == ["c", "a", "b"]
    assert allowed_items(bundle, snapshot, "c", "d") == ["a", "b"]
    assert bundle.pack_allowed(snapshot, mask_without(snapshot, "a", "b")) == b"\x01"


def test_the_ninth_item_is_the_lowest_bit_of_the_second_byte() -> None:
    names = [f"item-{number}" for number in range(10)]
    snapshot = snapshot_of(*names)
    assert bundle_of(*names).pack_allowed(snapshot, mask_without(snapshot, *names[:8], names[9])) == b"\x00\x01"


def test_items_that_left_the_catalogue_are_not_allowed() -> None:
    bundle = bundle_of("a", "gone", "b")
    assert allowed_items(bundle, snapshot_of("a", "b")) == ["a", "b"]
    # The last row of the catalogue must not speak for items without a row.
    assert allowed_items(bundle, snapshot_of("a", "b"), "a") == ["b"]


def test_a_changed_catalogue_is_noticed() -> None:
    bundle = bundle_of("b", "c")
    assert allowed_items(bundle, snapshot_of("a", "b", "c", sequence=1), "b") == ["c"]
    assert allowed_items(bundle, snapshot_of("b", "c", sequence=2), "b") == ["c"]
    assert allowed_items(bundle, snapshot_of("c", sequence=3)) == ["c"]
    assert allowed_items(bundle, snapshot_of("a", "b", sequence=4)) == ["b"]


def test_new_popularity_changes_nothing() -> None:
    bundle, snapshot = bundle_of("a", "b"), snapshot_of("a", "b")
    assert allowed_items(bundle, snapshot, "b") == ["a"]
    assert allowed_items(bundle, snapshot.with_statistics([]), "a") == ["b"]


def test_an_empty_catalogue_allows_nothing() -> None:
    snapshot = snapshot_of()
    assert bundle_of(*"abcdefghi").pack_allowed(snapshot, numpy.zeros(0, numpy.bool_)) == b"\x00\x00"


def test_vocabulary_is_known() -> None:
    assert bundle_of("a", "b").known == {"a", "b"}
