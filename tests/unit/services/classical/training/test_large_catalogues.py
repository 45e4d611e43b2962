"""Large catalogues are fitted in other ways; on a small one both ways must agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from services.classical.training.bundle import fit_bundle
from services.classical.training.dataset import Interactions
from services.classical.training.ease import fit_ease
from services.classical.training.histories import whole_histories
from services.classical.training.item_index import write_item_index
from services.classical.training.markov import fit_markov
from services.classical.training.offline_recommender import OfflineRecommender
from services.classical.training.options import FitOptions, LargeOptions
from services.classical.training.sampled_factors import fit_sampled_factors
from services.classical.training.scorers import FactoredScorer, SparseScorer, strongest_neighbours
from services.runtime.bundles.item_index import ItemIndex
from services.runtime.bundles.repository import BundleRepository
from services.runtime.bundles.scorer import NO_ROWS, History
from tests.unit.services.classical.training.conftest import ITEMS

LARGE = LargeOptions(dense_items=5, neighbours=19, solved_items=20, negatives=16, batch=64)


def test_the_strongest_neighbours_stay() -> None:
    matrix = scipy.sparse.csr_matrix(np.array([[0, 3, -5, 1], [0, 0, 0, 0], [2, 0, 0, 4], [0, 0, 7, 0]], np.float32))
    kept = strongest_neighbours(matrix, 2, 0.5, 3)
    assert kept.neighbours.tolist() == [[2, 1], [0, 0], [3, 0], [2, 0]]
    assert kept.strengths.tolist() == [[-5, 3], [0, 0], [4, 2], [7, 0]]


def test_neighbours_enough_are_the_whole_matrix(circle: Interactions, options: FitOptions) -> None:
    whole = whole_histories(circle)
    for dense, sparse in (
        (fit_markov(circle, options.markov), fit_markov(circle, options.markov, LARGE)),
        (fit_ease(circle, options.ease), fit_ease(circle, options.ease, LARGE)),
    ):
        assert isinstance(sparse, SparseScorer)
        np.testing.assert_allclose(sparse.score(circle, whole), dense.score(circle, whole), atol=1e-4)


def test_ease_leaves_rare_items_alone(circle: Interactions, options: FitOptions) -> None:
    scorer = fit_ease(circle, options.ease, replace(LARGE, solved_items=8, neighbours=3))
    assert isinstance(scorer, SparseScorer)
    counts = np.bincount(circle.items, minlength=20)
    solved = np.abs(scorer.strengths).sum(axis=1) > 0
    assert solved.sum() == 8
    assert counts[solved].min() >= np.sort(counts)[-9]
    assert solved[scorer.neighbours[solved]].all()


def test_sampled_factors_find_the_next_item(circle: Interactions, options: FitOptions) -> None:
    shares: list[float] = []
    scorer = fit_sampled_factors(circle, options.factors, LARGE, 1, shares.append)
    newest = circle.items[circle.offsets[1:] - 1]
    best = scorer.score(circle, whole_histories(circle)).argmax(axis=1)
    assert (best == (newest + 1) % 20).mean() > 0.9
    assert shares[-1] == 1
    again = fit_sampled_factors(circle, options.factors, LARGE, 1)
    np.testing.assert_array_equal(again.candidate_factors, scorer.candidate_factors)


@pytest.fixture(scope="module")
def clustered() -> FactoredScorer:
    """5,000 items in 50 groups."""
    random = np.random.default_rng(0)
    centres, groups = random.standard_normal((50, 16)), random.integers(0, 50, 5_000)
    factors = (centres[groups] + 0.3 * random.standard_normal((5_000, 16))).astype(np.float32)
    return FactoredScorer(factors, factors, 0.8, 20)


def histories(sequences: Sequence[Sequence[int]], count: int) -> Interactions:
    lengths = [len(one) for one in sequences]
    total = sum(lengths)
    return Interactions(
        tuple(f"i{row}" for row in range(count)),
        tuple(f"u{user}" for user in range(len(sequences))),
        np.cumsum([0, *lengths]).astype(np.int64),
        np.concatenate([np.array(one, np.int64) for one in sequences]),
        np.ones(total, np.float32),
        np.arange(total, dtype=np.float64),
        np.arange(1, total + 1),
    )


def test_an_index_reaches_the_recall_it_was_asked_for_within_any_filter(
    tmp_path: Path, clustered: FactoredScorer
) -> None:
    random = np.random.default_rng(1)
    events = histories(random.integers(0, 5_000, (40, 10)).tolist(), 5_000)
    facts = write_item_index(tmp_path / "f.index", clustered, events, whole_histories(events), 0.95, 1)
    assert facts.recall >= 0.95
    assert facts.probes < facts.lists
    index = ItemIndex(tmp_path / "f.index")
    assert index.item_count == 5_000
    user = clustered.candidate_factors[17]
    scores = clustered.candidate_factors @ user
    for share in (1.0, 0.5, 0.01, 0.0):
        allowed = random.random(5_000) < share
        rows = index.search(user, 20, allowed)
        best = [row for row in np.argsort(-scores) if allowed[row]][:20]
        assert allowed[rows].all()
        assert len(rows) == len(best)
        assert len(set(rows.tolist()) & set(best)) >= 0.9 * len(best)


async def test_a_large_bundle_is_fitted_loaded_and_right(
    tmp_path: Path, circle: Interactions, options: FitOptions
) -> None:
    manifest = fit_bundle(circle, tmp_path, tenant="default", version="1", options=replace(options, large=LARGE))
    described = {one["name"]: one for one in manifest["scorers"]}
    assert [name for name, one in described.items() if "index" in one] == ["factors", "ials"]
    assert described["factors"]["index_facts"]["recall"] == 1
    assert "factors.index" in manifest["files"]
    bundles = BundleRepository(tmp_path, "classical", with_ranker=True)
    bundle = await bundles.load("default", "1")
    history = History(np.array([3, 4, 5], np.int64), np.ones(3, np.float32))
    for name in ("markov", "factors", "ease"):
        found = bundle.scorers[name].top(history, history.rows, None, 5)
        assert found.rows[0] == 6, name
        assert (np.diff(found.scores) <= 0).all()
    allowed = np.zeros(20, np.bool_)
    allowed[[1, 6, 7]] = True
    assert set(bundle.scorers["factors"].top(history, np.array([6]), allowed, 5).rows.tolist()) == {1, 7}
    nothing = History(NO_ROWS, np.zeros(0, np.float32))
    assert bundle.scorers["factors"].top(nothing, NO_ROWS, None, 5).rows.tolist() == []
    raw, rows, logits = OfflineRecommender(tmp_path / "default" / "1").score(history.rows, history.weights)
    assert rows[logits["linear"].argmax()] == 6
    assert raw["factors"].shape == (len(ITEMS),)
