from __future__ import annotations

import numpy
import pytest

from services.classical.training.dataset import Interactions
from services.classical.training.graphs import indexed_scorer_graph
from services.classical.training.histories import whole_histories
from services.classical.training.item_index import write_item_index
from services.classical.training.scorers import FactoredScorer
from services.runtime.bundles.indexed_scorer import EXACT_ROWS, IndexedScorer
from services.runtime.bundles.item_index import ItemIndex
from services.runtime.bundles.scorer import NO_ROWS, Floats, History
from services.runtime.engine import CPU, OnnxModel

COUNT = 4 * EXACT_ROWS
HISTORY = History(numpy.array([5, 77, 300], numpy.int64), numpy.array([1, 0.5, 1], numpy.float32))


@pytest.fixture(scope="module")
def factors() -> FactoredScorer:
    values = numpy.random.default_rng(3).standard_normal((COUNT, 8)).astype(numpy.float32)
    return FactoredScorer(values, values, 0.5, 10)


@pytest.fixture(scope="module")
def raw(factors: FactoredScorer) -> Floats:
    """Scores of the history, by hand."""
    vectors = factors.history_factors[HISTORY.rows] * (HISTORY.weights * [0.25, 0.5, 1])[:, None]
    return numpy.asarray(factors.candidate_factors @ vectors.sum(axis=0), numpy.float32)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory, factors: FactoredScorer) -> IndexedScorer:
    folder = tmp_path_factory.mktemp("large")
    events = Interactions(
        tuple(map(str, range(COUNT))),
        ("u",),
        numpy.array([0, 3]),
        HISTORY.rows,
        HISTORY.weights,
        numpy.arange(3.0),
        numpy.arange(1, 4),
    )
    (folder / "f.onnx").write_bytes(indexed_scorer_graph(factors).SerializeToString())
    write_item_index(folder / "f.index", factors, events, whole_histories(events), 0.99, 1)
    return IndexedScorer("f", OnnxModel(folder / "f.onnx", CPU), ItemIndex(folder / "f.index"))


def test_what_it_finds_is_nearly_the_best_and_scored_exactly(scorer: IndexedScorer, raw: Floats) -> None:
    found = scorer.top(HISTORY, HISTORY.rows, None, 50)
    assert found.scores == pytest.approx((raw[found.rows] - raw.mean()) / raw.std(), abs=1e-3)
    assert (numpy.diff(found.scores) <= 0).all()
    best = [row for row in numpy.argsort(-raw) if row not in HISTORY.rows][:50]
    assert len(set(found.rows.tolist()) & set(best)) >= 48
    assert not numpy.isin(found.rows, HISTORY.rows).any()


def test_a_narrow_filter_is_searched_exactly(scorer: IndexedScorer, raw: Floats) -> None:
    allowed = numpy.zeros(COUNT, numpy.bool_)
    allowed[::50] = True
    found = scorer.top(HISTORY, NO_ROWS, allowed, 10)
    assert found.rows.tolist() == [row for row in numpy.argsort(-raw) if allowed[row]][:10]
    assert scorer.top(HISTORY, NO_ROWS, numpy.zeros(COUNT, numpy.bool_), 10).rows.tolist() == []


def test_a_wide_filter_is_kept_to(scorer: IndexedScorer) -> None:
    allowed = numpy.arange(COUNT) % 2 == 0
    found = scorer.top(HISTORY, NO_ROWS, allowed, 100)
    assert len(found.rows) == 100
    assert allowed[found.rows].all()


def test_contributions_add_up(scorer: IndexedScorer, raw: Floats) -> None:
    outcome = scorer.attribute(HISTORY, numpy.array([9, 9, 10]))
    assert outcome.candidate_scores == pytest.approx(raw[[9, 9, 10]], abs=1e-4)
    assert outcome.contributions.sum(axis=0) == pytest.approx(raw[[9, 9, 10]], abs=1e-4)
    assert (outcome.mean, outcome.deviation) == pytest.approx((raw.mean(), raw.std()), rel=1e-3, abs=1e-3)
