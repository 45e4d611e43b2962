"""Snapshots and requests of the catalogue that the tests of the recommendation steps work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Mask, build_snapshot
from services.orchestrator.recommend.serving_bundle import ServingBundle
from services.orchestrator.recommend.sources.source import SourceInput
from services.orchestrator.store.records import ItemRecord, ItemStatistics, UserEvent
from tests.support.bundles import ITEMS


def record(item_id: str, **fields: object) -> ItemRecord:
    """Return a stored item."""
    defaults = {
        "title": f"Title {item_id}",
        "description": "",
        "tags": (),
        "maturity_age": 0,
        "release_year": 0,
        "picture_labels": (),
        "update_time": 0,
    }
    return ItemRecord(**({"item_id": item_id} | defaults | fields))  # type: ignore[arg-type]


def snapshot_of(
    *items: ItemRecord | str, popularity: Mapping[str, float] | None = None, sequence: int = 1
) -> CatalogSnapshot:
    """Return the snapshot of a catalogue; `popularity` is the sum of positive event weights of some items."""
    records = [entry if isinstance(entry, ItemRecord) else record(entry) for entry in items]
    return build_snapshot(
        sequence,
        sorted(records, key=lambda entry: entry.item_id),
        [ItemStatistics(item_id, 1, weight, 0) for item_id, weight in (popularity or {}).items()],
    )


def events(*liked: str, **weights: float) -> list[UserEvent]:
    """Return a history, oldest first: likes of `liked`, then events of other weights."""
    pairs = [*((item_id, 1.0) for item_id in liked), *weights.items()]
    return [UserEvent(item_id, weight, 3, place, place) for place, (item_id, weight) in enumerate(pairs)]


def bundle_of(*item_ids: str, version: str = "v1") -> ServingBundle:
    """Return what the orchestrator knows of a bundle; without ids, of the bundle that the tests' services load."""
    scorers = {"classical": ("near", "next"), "text": ("words",), "vision": ("pictures",)}
    return ServingBundle(version, item_ids or ITEMS, 42, scorers)  # type: ignore[arg-type]


def source_input(
    snapshot: CatalogSnapshot,
    history: Sequence[UserEvent] = (),
    bundle: ServingBundle | None = None,
    hidden: Sequence[str] = (),
    count: int = 100,
) -> SourceInput:
    """Return one request as sources see it; everything is allowed but what is `hidden`."""
    return SourceInput("default", history, snapshot, mask_without(snapshot, *hidden), bundle, count)


def mask_without(snapshot: CatalogSnapshot, *hidden: str) -> Mask:
    """Return bool[N]: all items of the snapshot but the hidden ones."""
    return numpy.array([item_id not in hidden for item_id in snapshot.item_ids], numpy.bool_)
