"""An index that follows changes finds what one made anew would find."""

from __future__ import annotations

import random

import numpy as np

from services.orchestrator.catalog.snapshot import CatalogSnapshot, build_snapshot
from services.orchestrator.catalog.snapshot_changes import apply_changes
from services.orchestrator.search.index import LexicalIndex, build_index, follow
from services.orchestrator.search.lexical import match
from services.orchestrator.store.records import ItemChanges, ItemRecord

WORDS = ["star", "war", "night", "robot", "paris", "summer", "ghost", "train", "river", "dance"]


def record(name: str, title: str, time: int = 1) -> ItemRecord:
    return ItemRecord(name, title, "", ("Drama",), 0, 1999, (), time)


def snapshot_of(records: list[ItemRecord]) -> CatalogSnapshot:
    return build_snapshot(1, sorted(records, key=lambda one: one.item_id.encode()), [])


def found(index: LexicalIndex, query: str) -> set[str]:
    return {index.snapshot.item_ids[row] for row in np.flatnonzero(match(index, query).scores)}


def test_it_follows_writes_and_deletions() -> None:
    generator = random.Random(1)

    def title() -> str:
        return " ".join(generator.sample(WORDS, 3))

    records = {f"item-{number:03}": record(f"item-{number:03}", title()) for number in range(60)}
    snapshot = snapshot_of(list(records.values()))
    index = build_index(snapshot)
    for step in range(2, 90):
        written: list[ItemRecord] = []
        gone: list[str] = []
        for _ in range(generator.randint(1, 3)):
            name = f"item-{generator.randint(0, 99):03}"
            if generator.random() < 0.3 and name in records and name not in {one.item_id for one in written}:
                del records[name]
                gone.append(name)
            elif name not in gone:
                records[name] = record(name, title(), step)
                written.append(records[name])
        latest = {one.item_id: one for one in written}
        later = apply_changes(snapshot, ItemChanges(tuple(latest.values()), tuple(gone), step))
        assert later is not None
        snapshot = later
        index = follow(index, snapshot)
        for word in WORDS:
            expected = {name for name, one in records.items() if word in one.title.split()}
            assert found(index, f"{word} ") == expected, (step, word)
    assert len(index.segments) < 8
    assert sum(len(rows) for rows in index.rows) < 2 * len(snapshot)


def test_a_write_in_the_same_microsecond_counts() -> None:
    snapshot = snapshot_of([record("a", "Old Name"), record("b", "Other"), record("c", "Third")])
    index = build_index(snapshot)
    later = apply_changes(snapshot, ItemChanges((record("a", "New Name"),), (), 2))
    assert later is not None
    index = follow(index, later)
    assert found(index, "new") == {"a"}
    assert not found(index, "old")


def test_a_new_vector_alone_indexes_nothing_anew() -> None:
    snapshot = snapshot_of([record("a", "Old Name"), record("b", "Other"), record("c", "Third")])
    index = build_index(snapshot)
    later = apply_changes(snapshot, ItemChanges((record("a", "Old Name"),), (), 2))
    assert later is not None
    assert follow(index, later).segments[0] is index.segments[0]


def test_a_search_over_an_older_state_finds_nothing_newer() -> None:
    old = snapshot_of([record("a", "Night Train"), record("b", "Other"), record("d", "Third")])
    later = apply_changes(old, ItemChanges((record("c", "Night River", 2),), (), 2))
    assert later is not None
    index = follow(build_index(old), later)
    assert found(index, "night") == {"a", "c"}
    assert found(index.on(old), "night") == {"a"}
