from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from services.runtime.bundles.scorer import NO_ROWS, History, HistoryScorer, Rows
from services.runtime.engine import CPU, OnnxModel
from tests.support.bundles import ITEM_COUNT, SIMILARITIES, expected_scores, scorer_graph

EVENTS = [(3, 1.0), (7, 2.0), (3, -0.5)]


def rows(*numbers: int) -> Rows:
    return numpy.array(numbers, numpy.int64)


def history(*events: tuple[int, float]) -> History:
    return History(rows(*(row for row, _ in events)), numpy.array([weight for _, weight in events], numpy.float32))


@pytest.fixture
def near(tmp_path: Path) -> HistoryScorer:
    path = tmp_path / "near.onnx"
    path.write_bytes(scorer_graph(SIMILARITIES["near"]).SerializeToString())
    return HistoryScorer("near", OnnxModel(path, CPU), ITEM_COUNT)


def test_scores_are_standardised_over_the_whole_catalogue(near: HistoryScorer) -> None:
    found = near.top(history(*EVENTS), NO_ROWS, None, ITEM_COUNT)
    raw = expected_scores("near", EVENTS)
    expected = (raw - raw.mean()) / raw.std()
    assert found.scores.tolist() == pytest.approx(sorted(expected, reverse=True), abs=1e-5)
    assert found.scores.tolist() == pytest.approx(expected[found.rows].tolist(), abs=1e-5)


def test_the_newest_event_counts_most(near: HistoryScorer) -> None:
    assert near.top(history((2, 1), (9, 1)), NO_ROWS, None, 1).rows.tolist() == [9]
    assert near.top(history((9, 1), (2, 1)), NO_ROWS, None, 1).rows.tolist() == [2]


def test_excluded_and_forbidden_rows_never_return(near: HistoryScorer) -> None:
    allowed = numpy.zeros(ITEM_COUNT, numpy.bool_)
    allowed[[1, 2, 3, 4]] = True
    found = near.top(history((3, 1)), rows(3, 11), allowed, 10)
    assert sorted(found.rows.tolist()) == [1, 2, 4], "fewer than asked when fewer are allowed"
    assert numpy.isfinite(found.scores).all()


def test_nothing_allowed_is_nothing_found(near: HistoryScorer) -> None:
    assert near.top(history((3, 1)), NO_ROWS, numpy.zeros(ITEM_COUNT, numpy.bool_), 5).rows.tolist() == []


# The last one cancels itself out: a like, halved by its age, against a dislike of half the weight.
@pytest.mark.parametrize("events", [[], [(3, 0.0)], [(3, 1.0), (3, -0.5)]])
def test_a_history_without_a_signal_gives_nothing(near: HistoryScorer, events: list[tuple[int, float]]) -> None:
    found = near.top(history(*events), NO_ROWS, None, 5)
    assert found.rows.tolist() == []
    assert found.scores.tolist() == []


def test_contributions_add_up_to_the_scores(near: HistoryScorer) -> None:
    candidates = rows(0, 5, 11)
    attribution = near.attribute(history(*EVENTS), candidates)
    raw = expected_scores("near", EVENTS)
    assert attribution.contributions.shape == (3, 3)
    assert attribution.candidate_scores.tolist() == pytest.approx(raw[candidates].tolist(), abs=1e-6)
    assert attribution.contributions.sum(axis=0).tolist() == pytest.approx(raw[candidates].tolist(), abs=1e-5)
    assert (attribution.mean, attribution.deviation) == pytest.approx((raw.mean(), raw.std()), abs=1e-5)


def test_no_history_and_no_candidates_attribute_nothing(near: HistoryScorer) -> None:
    assert near.attribute(history(), rows(1, 2)).contributions.shape == (0, 2)
    assert near.attribute(history((3, 1)), NO_ROWS).contributions.shape == (1, 0)
    assert near.attribute(history(), rows(1)).deviation > 0, "so that callers may divide by it"
