"""Takes changes into a snapshot without reading the whole catalogue again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from services.orchestrator.catalog.snapshot import CatalogSnapshot, Rows, VectorColumn, build_snapshot, frozen
from services.orchestrator.store.records import ItemChanges

Entry = TypeVar("Entry")
Number = TypeVar("Number", np.int64, np.float32)


def apply_changes(snapshot: CatalogSnapshot, changes: ItemChanges) -> CatalogSnapshot | None:
    """Return the snapshot that the changes lead to; None when it must be built anew, because vectors came from another
    model. What did not change is shared or copied as columns; statistics of new items are zero until they are read.
    """
    if not len(snapshot):
        return None
    items = sorted(changes.items, key=lambda item: item.item_id.encode())
    new = build_snapshot(changes.sequence, items, [])
    gone = {*new.item_ids, *changes.deleted_item_ids}
    if not _mixable(snapshot.text, new.text) or not _mixable(snapshot.pictures, new.pictures):
        return None
    if set(new.item_ids) <= snapshot.rows.keys() and not snapshot.rows.keys() & set(changes.deleted_item_ids):
        order = np.arange(len(snapshot))
        order[[snapshot.rows[item_id] for item_id in new.item_ids]] = len(snapshot) + np.arange(len(new))
    else:
        order = _merged_order(snapshot, new, gone)
    return _taken(snapshot, new, order)


def _mixable(held: VectorColumn, new: VectorColumn) -> bool:
    return not new.present.any() or (held.model, held.version, held.values.shape[1]) == (
        new.model,
        new.version,
        new.values.shape[1],
    )


def _merged_order(snapshot: CatalogSnapshot, new: CatalogSnapshot, gone: set[str]) -> np.typing.NDArray[np.int64]:
    """Return for each row of the result the row in the held snapshot, or in the new one behind it."""
    kept = [(item_id.encode(), row) for row, item_id in enumerate(snapshot.item_ids) if item_id not in gone]
    added = [(item_id.encode(), len(snapshot) + row) for row, item_id in enumerate(new.item_ids)]
    # Both halves are in order already, which Python's sort recognises.
    return np.array([row for _, row in sorted(kept + added)], dtype=np.int64)


def _taken(held: CatalogSnapshot, new: CatalogSnapshot, order: np.typing.NDArray[np.int64]) -> CatalogSnapshot:
    places = np.full(len(held) + len(new), -1, dtype=np.int64)
    places[order] = np.arange(len(order))
    rows = order.tolist()
    item_ids = _entries(held.item_ids, new.item_ids, rows)
    same_ids = item_ids == held.item_ids

    def column(name: str) -> np.typing.NDArray[np.int64]:
        joined = np.concatenate([getattr(held, name), getattr(new, name)])
        return frozen(joined[order])

    return replace(
        held,
        sequence=new.sequence,
        item_ids=held.item_ids if same_ids else item_ids,
        rows=held.rows if same_ids else {item_id: row for row, item_id in enumerate(item_ids)},
        titles=_entries(held.titles, new.titles, rows),
        descriptions=_entries(held.descriptions, new.descriptions, rows),
        tags=_entries(held.tags, new.tags, rows),
        tag_rows=_keyed(held.tag_rows, new.tag_rows, places, len(held)),
        maturity_ages=column("maturity_ages"),
        release_years=column("release_years"),
        update_times=column("update_times"),
        start_times=column("start_times"),
        end_times=column("end_times"),
        # Statistics belong to the id, not to this state of the item.
        event_counts=_statistics(held, item_ids, held.event_counts),
        last_event_times=_statistics(held, item_ids, held.last_event_times),
        popularity=_statistics(held, item_ids, held.popularity),
        text=_vectors(held.text, new.text, order),
        pictures=_vectors(held.pictures, new.pictures, order),
        region_rows=_keyed(held.region_rows, new.region_rows, places, len(held)),
        limited_regions=_moved([held.limited_regions, new.limited_regions + len(held)], places),
        entitlement_rows=_keyed(held.entitlement_rows, new.entitlement_rows, places, len(held)),
        needs_entitlement=_moved([held.needs_entitlement, new.needs_entitlement + len(held)], places),
    )


def _entries(held: Sequence[Entry], new: Sequence[Entry], rows: Sequence[int]) -> tuple[Entry, ...]:
    joined = [*held, *new]
    return tuple([joined[row] for row in rows])


def _statistics(
    held: CatalogSnapshot, item_ids: Sequence[str], values: np.typing.NDArray[Number]
) -> np.typing.NDArray[Number]:
    if item_ids == held.item_ids:
        return values
    rows = np.array([held.rows.get(item_id, -1) for item_id in item_ids], dtype=np.int64)
    found = values[rows] if len(values) else np.zeros(len(rows), values.dtype)
    found[rows == -1] = 0
    return frozen(found)


def _vectors(held: VectorColumn, new: VectorColumn, order: np.typing.NDArray[np.int64]) -> VectorColumn:
    if not held.values.shape[1]:
        return VectorColumn(
            frozen(np.zeros((len(order), 0), np.float32)), frozen(np.zeros(len(order), np.bool_)), "", ""
        )
    from_new = order >= len(held.present)
    values = held.values[np.where(from_new, 0, order)]
    present = held.present[np.where(from_new, 0, order)]
    chosen = order[from_new] - len(held.present)
    values[from_new] = new.values[chosen] if new.values.shape[1] else 0
    present[from_new] = new.present[chosen]
    return VectorColumn(frozen(values), frozen(present), held.model, held.version)


def _keyed(
    held: Mapping[str, Rows], new: Mapping[str, Rows], places: np.typing.NDArray[np.int64], offset: int
) -> dict[str, Rows]:
    keyed = {
        key: _moved([held.get(key, _NONE), new.get(key, _NONE) + offset], places) for key in held.keys() | new.keys()
    }
    return {key: rows for key, rows in keyed.items() if len(rows)}


def _moved(parts: Sequence[Rows], places: np.typing.NDArray[np.int64]) -> Rows:
    moved = places[np.concatenate(parts)]
    return frozen(np.sort(moved[moved >= 0]).astype(np.int32))


_NONE = np.zeros(0, dtype=np.int32)
