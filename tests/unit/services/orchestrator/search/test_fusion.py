from __future__ import annotations

import numpy as np
import pytest

from services.orchestrator.catalog.snapshot import build_snapshot
from services.orchestrator.search.fusion import best_rows, fuse, personalise
from services.orchestrator.search.lexical import LexicalMatches
from services.orchestrator.store.records import ItemRecord, ItemStatistics

SNAPSHOT = build_snapshot(
    1,
    [ItemRecord(name, name, "", (), 0, 0, (), 1) for name in "abcd"],
    [ItemStatistics(item_id="c", event_count=9, positive_weight=9.0, last_event_time=1)],
)
EVERYTHING = np.ones(4, np.bool_)


def floats(*values: float) -> np.typing.NDArray[np.float32]:
    return np.array(values, np.float32)


def words(*scores: float) -> LexicalMatches:
    return LexicalMatches((), floats(*scores), floats(*(float(score > 0) for score in scores)))


def test_either_part_finds_and_both_count() -> None:
    relevance = fuse(words(0.9, 0, 0.9, 0), floats(0.1, 0.8, 0.8, 0.1), EVERYTHING)
    assert relevance.found.tolist() == [True, True, True, False]
    assert best_rows(relevance.scores, relevance.found, SNAPSHOT, 10) == [2, 0, 1]


def test_without_a_part_the_other_decides() -> None:
    assert fuse(words(0.9, 0, 0.5, 0), None, EVERYTHING).scores.tolist() == pytest.approx([0.9, 0, 0.5, 0])
    assert fuse(None, floats(0.4, -0.2, 0.9, 0), EVERYTHING).scores.tolist() == pytest.approx([0.4, 0, 0.9, 0])
    assert not fuse(None, None, EVERYTHING).found.any()


def test_what_means_nothing_to_the_catalogue_finds_nothing_by_meaning() -> None:
    assert not fuse(None, floats(0.35, 0.32, 0.1, 0), EVERYTHING).found.any()
    assert fuse(None, floats(0.45, 0.32, 0.1, 0), EVERYTHING).found.tolist() == [True, True, False, False]


def test_what_is_not_allowed_is_not_found() -> None:
    allowed = np.array([False, True, True, True])
    assert not fuse(words(1, 0, 0, 0), floats(1, 0, 0, 0), allowed).found.any()


def test_equals_are_ordered_by_popularity_then_by_id() -> None:
    assert best_rows(floats(0.5, 0.5, 0.5, 0.6), EVERYTHING, SNAPSHOT, 10) == [3, 2, 0, 1]
    assert best_rows(floats(0.5, 0.5, 0.5, 0.5), EVERYTHING, SNAPSHOT, 1) == [2]


def test_taste_moves_between_nothing_and_double() -> None:
    scores, taste = floats(0.5, 0.5, 0.5), floats(0, 0.5, 1)
    assert personalise(scores, taste, 1).tolist() == pytest.approx([0, 0.5, 1])
    assert personalise(scores, taste, 0).tolist() == pytest.approx([0.5, 0.5, 0.5])
