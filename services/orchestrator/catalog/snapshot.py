"""One state of a tenant's catalogue as columns, for filters and scores over all items at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from services.orchestrator.store.records import ItemRecord, ItemStatistics, ItemVector

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int32]
Array = TypeVar("Array", bound=npt.NDArray[Any])


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """Vectors of one kind over all items, all of one model and version.

    Attributes:
        values: float32[N, D]; rows of zeros where there is none. D is 0 when no item has one.
        present: bool[N], which rows have one.
        model, version: what made the vectors; empty when no item has one.
    """

    values: Floats
    present: Mask
    model: str
    version: str


@dataclass(frozen=True)
class CatalogSnapshot:
    """An immutable view of N items; the row of an item is its place in the order of the ids.

    Attributes:
        sequence: the catalogue's change counter; every change up to it is in.
        item_ids, titles, descriptions, tags: one entry a row; tags as the caller wrote them.
        rows: row of each item id.
        tag_rows: rows that carry a tag, by the case-folded tag; ascending.
        maturity_ages: int64[N], years.
        release_years: int64[N], 0 when unknown.
        update_times: int64[N], microseconds since 1970.
        event_counts: int64[N].
        last_event_times: int64[N], microseconds since 1970; 0 without events.
        popularity: float32[N], log(1 + sum of positive event weights).
        text, pictures: the vectors.
        start_times, end_times: int64[N], microseconds since 1970; when each item may be shown, the end excluded.
        region_rows: rows that may be shown in a region, by its code, of the items that are limited to regions.
        entitlement_rows: rows that an entitlement opens, of the items that need one.
        limited_regions, needs_entitlement: rows of those items.
    """

    sequence: int
    item_ids: tuple[str, ...]
    rows: Mapping[str, int]
    titles: tuple[str, ...]
    descriptions: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    tag_rows: Mapping[str, npt.NDArray[np.int32]]
    maturity_ages: Integers
    release_years: Integers
    update_times: Integers
    event_counts: Integers
    last_event_times: Integers
    popularity: Floats
    text: VectorColumn
    pictures: VectorColumn
    start_times: Integers
    end_times: Integers
    region_rows: Mapping[str, Rows]
    limited_regions: Rows
    entitlement_rows: Mapping[str, Rows]
    needs_entitlement: Rows

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def most_popular(self) -> npt.NDArray[np.int64]:
        """int64[N]: all rows, the most popular first, ties in the order of the ids."""
        return np.argsort(-self.popularity, kind="stable")

    def mask(
        self,
        required_tags: Sequence[str] = (),
        excluded_tags: Sequence[str] = (),
        maximum_maturity_age: int | None = None,
        *,
        region: str = "",
        entitlements: Sequence[str] = (),
        now: int | None = None,
    ) -> Mask:
        """Return bool[N], the items that pass a filter.

        Tags are compared without regard to case; one that no item carries matches nothing.

        Args:
            required_tags: at least one of them must be there; empty requires none.
            excluded_tags: none of them may be there.
            maximum_maturity_age: highest age limit in years; None allows all.
            region: where it is shown, "DE" or "US-CA"; what is available in a country is in its subdivisions too. Empty
                leaves out every item that is limited to regions.
            entitlements: what the user holds.
            now: microseconds since 1970; None is this moment.
        """
        allowed = np.ones(len(self), dtype=np.bool_)
        if required_tags:
            allowed[:] = False
            for tag in required_tags:
                allowed[self.rows_with_tag(tag)] = True
        for tag in excluded_tags:
            allowed[self.rows_with_tag(tag)] = False
        if maximum_maturity_age is not None:
            allowed &= self.maturity_ages <= maximum_maturity_age
        moment = time.time_ns() // 1_000 if now is None else now
        allowed &= (self.start_times <= moment) & (moment < self.end_times)
        _open(allowed, self.limited_regions, self.region_rows, {region, region.partition("-")[0]})
        _open(allowed, self.needs_entitlement, self.entitlement_rows, entitlements)
        return allowed

    def rows_with_tag(self, tag: str) -> npt.NDArray[np.int32]:
        """Return the rows of the items that carry the tag, without regard to case."""
        return self.tag_rows.get(tag.casefold(), _NO_ROWS)

    def with_statistics(self, statistics: Sequence[ItemStatistics]) -> CatalogSnapshot:
        """Return the same items with newer statistics; everything else is shared."""
        counts = np.zeros(len(self), dtype=np.int64)
        weights = np.zeros(len(self), dtype=np.float64)
        times = np.zeros(len(self), dtype=np.int64)
        known = [(row, entry) for entry in statistics if (row := self.rows.get(entry.item_id)) is not None]
        rows = [row for row, _ in known]
        counts[rows] = [entry.event_count for _, entry in known]
        weights[rows] = [entry.positive_weight for _, entry in known]
        times[rows] = [entry.last_event_time for _, entry in known]
        return replace(
            self,
            event_counts=frozen(counts),
            last_event_times=frozen(times),
            popularity=frozen(np.log1p(weights).astype(np.float32)),
        )


_NO_ROWS = np.zeros(0, dtype=np.int32)
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def _open(allowed: Mask, limited: Rows, opened: Mapping[str, Rows], keys: Iterable[str]) -> None:
    """Take the limited rows out of a mask that none of the keys opens."""
    if len(limited):
        usable = np.zeros(len(allowed), dtype=np.bool_)
        for key in keys:
            usable[opened.get(key, _NO_ROWS)] = True
        allowed[limited] &= usable[limited]


def build_snapshot(sequence: int, items: Sequence[ItemRecord], statistics: Sequence[ItemStatistics]) -> CatalogSnapshot:
    """Turn records in the order of their ids into columns."""
    count = len(items)
    tag_rows: dict[str, list[int]] = {}
    region_rows: dict[str, list[int]] = {}
    entitlement_rows: dict[str, list[int]] = {}
    for row, item in enumerate(items):
        for tag in item.tags:
            tag_rows.setdefault(tag.casefold(), []).append(row)
        for region in item.availability.regions:
            region_rows.setdefault(region, []).append(row)
        for entitlement in item.availability.entitlements:
            entitlement_rows.setdefault(entitlement, []).append(row)
    item_ids = tuple(item.item_id for item in items)
    zeros = frozen(np.zeros(count, dtype=np.int64))
    snapshot = CatalogSnapshot(
        sequence=sequence,
        item_ids=item_ids,
        rows={item_id: row for row, item_id in enumerate(item_ids)},
        titles=tuple(item.title for item in items),
        descriptions=tuple(item.description for item in items),
        tags=tuple(item.tags for item in items),
        tag_rows=_rows_by_key(tag_rows),
        maturity_ages=_integers(items, lambda item: item.maturity_age),
        release_years=_integers(items, lambda item: item.release_year),
        update_times=_integers(items, lambda item: item.update_time),
        event_counts=zeros,
        last_event_times=zeros,
        popularity=frozen(np.zeros(count, dtype=np.float32)),
        text=_vector_column([item.text_vector for item in items]),
        pictures=_vector_column([item.picture_vector for item in items]),
        start_times=_integers(items, lambda item: _time(item.availability.start_time, _FIRST)),
        end_times=_integers(items, lambda item: _time(item.availability.end_time, _LAST)),
        region_rows=_rows_by_key(region_rows),
        limited_regions=_all_rows(region_rows),
        entitlement_rows=_rows_by_key(entitlement_rows),
        needs_entitlement=_all_rows(entitlement_rows),
    )
    return snapshot.with_statistics(statistics)


def _time(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _rows_by_key(rows: Mapping[str, Sequence[int]]) -> dict[str, Rows]:
    return {key: frozen(np.array(entries, dtype=np.int32)) for key, entries in rows.items()}


def _all_rows(rows: Mapping[str, Sequence[int]]) -> Rows:
    return frozen(np.array(sorted({row for entries in rows.values() for row in entries}), dtype=np.int32))


def _integers(items: Sequence[ItemRecord], read: Callable[[ItemRecord], int]) -> Integers:
    return frozen(np.fromiter((read(item) for item in items), dtype=np.int64, count=len(items)))


def _vector_column(vectors: Sequence[ItemVector | None]) -> VectorColumn:
    """Pack vectors into a matrix. While a model is being replaced two kinds exist; the more frequent one is taken."""
    kinds = Counter((vector.model, vector.version, len(vector.values)) for vector in vectors if vector is not None)
    present = np.zeros(len(vectors), dtype=np.bool_)
    if not kinds:
        return VectorColumn(frozen(np.zeros((len(vectors), 0), dtype=np.float32)), frozen(present), "", "")
    model, version, size = kinds.most_common(1)[0][0]
    chosen = [
        (row, vector.values)
        for row, vector in enumerate(vectors)
        if vector is not None and (vector.model, vector.version, len(vector.values)) == (model, version, size)
    ]
    rows = [row for row, _ in chosen]
    values = np.zeros((len(vectors), size // 4), dtype=np.float32)
    values[rows] = np.frombuffer(b"".join(content for _, content in chosen), dtype="<f4").reshape(
        len(chosen), size // 4
    )
    present[rows] = True
    return VectorColumn(frozen(values), frozen(present), model, version)


def frozen(array: Array) -> Array:
    """Snapshots are shared by all calls; nobody may write into one."""
    array.flags.writeable = False
    return array
