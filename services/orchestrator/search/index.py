"""The words of a whole catalogue: a few segments, and the row that each of their items has in a snapshot.

As in engines on disk (log-structured merge; Lucene), a change adds a small segment and marks what it replaces; segments
of like size are joined, and everything is indexed anew when much of it is dead. Nothing is changed
in place, so searches need no lock and see one state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.orchestrator.catalog.snapshot import CatalogSnapshot
from services.orchestrator.search.segment import Document, Floats, Segment, build_segment
from services.orchestrator.search.vocabulary import MOST_BEGINNINGS, Near

Rows = npt.NDArray[np.int64]
_MOST_NEAR = 8
_RATIO = 4
_GONE = -1


@dataclass(frozen=True)
class LexicalIndex:
    """Words of one snapshot.

    Attributes:
        snapshot: what it indexes; its statistics may be older than those of another snapshot of the same sequence.
        segments: the words, the largest part first.
        rows: for each segment, int64: the row of each of its items; -1 for one that was replaced or deleted.
    """

    snapshot: CatalogSnapshot
    segments: tuple[Segment, ...]
    rows: tuple[Rows, ...]

    def entries(self, term: str) -> Iterator[tuple[Rows, Floats]]:
        """Yield the rows that hold a word, and how much it counts in each; a row comes once."""
        for segment, rows in zip(self.segments, self.rows, strict=True):
            documents, weights = segment.entries(term)
            if len(documents):
                found = rows[documents]
                alive = found != _GONE
                yield found[alive], weights[alive]

    def frequency(self, term: str) -> int:
        """Return about how many items hold a word; what was replaced counts until it is swept out."""
        return sum(segment.frequency(term) for segment in self.segments)

    def beginning_with(self, start: str) -> list[str]:
        """Return the words that begin like this and are longer, the most frequent first."""
        found = dict.fromkeys(
            word for segment in self.segments for word in segment.vocabulary.beginning_with(start, MOST_BEGINNINGS)
        )
        return sorted(found, key=lambda word: -self.frequency(word))[:MOST_BEGINNINGS]

    def near(self, word: str) -> list[Near]:
        """Return the words that typing errors lead to: fewest slips first, then the same first letter, then the most
        frequent.
        """
        found = dict.fromkeys(near for segment in self.segments for near in segment.vocabulary.near(word))
        order = sorted(found, key=lambda one: (one.slips, one.word[0] != word[0], -self.frequency(one.word)))
        return order[:_MOST_NEAR]

    def on(self, snapshot: CatalogSnapshot) -> LexicalIndex:
        """Return the index over another snapshot, which may be older: items that it lacks are not found."""
        if snapshot.sequence == self.snapshot.sequence:
            return self
        places = np.fromiter((snapshot.rows.get(name, _GONE) for name in self.snapshot.item_ids), np.int64)
        moved = tuple(np.where(rows == _GONE, _GONE, places[rows]) for rows in self.rows)
        return LexicalIndex(snapshot, self.segments, moved)

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes, the snapshot's own columns left out."""
        return sum(segment.size_bytes for segment in self.segments)


def build_index(snapshot: CatalogSnapshot) -> LexicalIndex:
    """Index a whole snapshot."""
    segment = build_segment([_document(snapshot, row) for row in range(len(snapshot))])
    _ = segment.vocabulary
    return LexicalIndex(snapshot, (segment,), (np.arange(len(snapshot)),))


def follow(index: LexicalIndex, snapshot: CatalogSnapshot) -> LexicalIndex:
    """Return the index of a later snapshot: what did not change stays as it is."""
    held = index.snapshot
    if snapshot.sequence == held.sequence:
        return index
    fresh = _changed(held, snapshot)
    if len(fresh) > len(snapshot) // 2:
        return build_index(snapshot)
    written = {snapshot.item_ids[row] for row in fresh}
    moved = tuple(
        _moved(segment, rows, held, snapshot, written) for segment, rows in zip(index.segments, index.rows, strict=True)
    )
    segments, places = _without_dead(index.segments, moved)
    if fresh:
        means = segments[0].mean_lengths if segments else None
        segments = (*segments, build_segment([_document(snapshot, row) for row in fresh], means))
        places = (*places, np.array(fresh, np.int64))
    if not segments or _much_is_dead(places):
        return build_index(snapshot)
    first = _first_to_join(places)
    if first < len(segments) - 1:
        if first == 0:
            return build_index(snapshot)
        segments, places = _joined(snapshot, segments, places, first)
    return LexicalIndex(snapshot, segments, places)


def _changed(held: CatalogSnapshot, snapshot: CatalogSnapshot) -> list[int]:
    """Return the rows of the new snapshot whose words are not those of the held one."""
    if snapshot.item_ids is held.item_ids:
        before = np.arange(len(held))
    else:
        before = np.fromiter((held.rows.get(name, _GONE) for name in snapshot.item_ids), np.int64, len(snapshot))
    known = before != _GONE
    same = np.zeros(len(snapshot), np.bool_)
    same[known] = snapshot.update_times[known] == held.update_times[before[known]]
    # The clock may stand still for two writes, or a deleted item come back: then the words themselves tell.
    return [
        row
        for row, (old, unchanged) in enumerate(zip(before.tolist(), same.tolist(), strict=True))
        if not unchanged
        or (snapshot.titles[row] is not held.titles[old] and _document(snapshot, row) != _document(held, old))
    ]


def _moved(segment: Segment, rows: Rows, held: CatalogSnapshot, snapshot: CatalogSnapshot, written: set[str]) -> Rows:
    if snapshot.item_ids is held.item_ids and not written:
        return rows
    if snapshot.item_ids is held.item_ids:
        moved = rows.copy()
        moved[np.isin(rows, [snapshot.rows[name] for name in written])] = _GONE
        return moved
    names = zip(segment.item_ids, rows.tolist(), strict=True)
    return np.fromiter(
        (_GONE if row == _GONE or name in written else snapshot.rows.get(name, _GONE) for name, row in names),
        np.int64,
        len(rows),
    )


def _without_dead(segments: Sequence[Segment], places: Sequence[Rows]) -> tuple[tuple[Segment, ...], tuple[Rows, ...]]:
    """Leave out segments in which nothing lives."""
    kept = [(segment, rows) for segment, rows in zip(segments, places, strict=True) if (rows != _GONE).any()]
    return tuple(segment for segment, _ in kept), tuple(rows for _, rows in kept)


def _much_is_dead(places: Sequence[Rows]) -> bool:
    """Return whether a third of the items are dead."""
    total = sum(len(rows) for rows in places)
    alive = sum(int((rows != _GONE).sum()) for rows in places)
    return 3 * (total - alive) > total


def _first_to_join(places: Sequence[Rows]) -> int:
    """Return the first of the segments at the end that are to become one: then each is four times the next, so that
    there are few of them and an item is moved few times. The last one itself when there is nothing to join.
    """
    first = len(places) - 1
    size = len(places[first])
    while first > 0 and len(places[first - 1]) < _RATIO * size:
        first -= 1
        size += len(places[first])
    return first


def _joined(
    snapshot: CatalogSnapshot, segments: Sequence[Segment], places: Sequence[Rows], first: int
) -> tuple[tuple[Segment, ...], tuple[Rows, ...]]:
    """Make one segment of those from `first` on."""
    rows = np.sort(np.concatenate(places[first:]))
    rows = rows[rows != _GONE]
    joined = build_segment([_document(snapshot, row) for row in rows.tolist()], segments[0].mean_lengths)
    return (*segments[:first], joined), (*places[:first], rows)


def _document(snapshot: CatalogSnapshot, row: int) -> Document:
    return Document(
        snapshot.item_ids[row],
        snapshot.titles[row],
        snapshot.tags[row],
        snapshot.descriptions[row],
        int(snapshot.release_years[row]),
    )
