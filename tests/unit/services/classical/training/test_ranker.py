from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.classical.features import feature_names
from services.classical.training.candidate_lists import CandidateLists, build_candidate_lists, candidate_rows
from services.classical.training.dataset import Interactions
from services.classical.training.first_stage import FirstStage
from services.classical.training.histories import Positions
from services.classical.training.linear_ranker import fit_linear_ranker
from services.classical.training.options import RankerOptions
from services.classical.training.scorers import DenseScorer
from services.classical.training.two_stage import join_lists

NAMES = feature_names(["good", "bad"])


def lists(count: int, seed: int = 0) -> CandidateLists:
    """Lists of 10 candidates; the next item has the highest `good` and the lowest `bad` feature."""
    random = np.random.default_rng(seed)
    features = random.standard_normal((count, 10, len(NAMES)), np.float32)
    targets = random.integers(0, 10, count)
    features[np.arange(count), targets, 0] += 3
    features[np.arange(count), targets, 1] -= 3
    return CandidateLists(
        NAMES,
        features.reshape(-1, len(NAMES)),
        np.arange(count + 1, dtype=np.int64) * 10,
        np.arange(count) * 10 + targets,
        {},
    )


def test_it_learns_what_puts_the_next_item_first() -> None:
    data = lists(400)
    ranker = fit_linear_ranker(data, RankerOptions())
    assert ranker.lists == 400
    assert ranker.coefficients[0] > 1
    assert (data.ranks(ranker.logits(data.features)) == 0).mean() > 0.8


def test_a_scorer_never_counts_against_an_item() -> None:
    ranker = fit_linear_ranker(lists(400), RankerOptions())
    assert ranker.coefficients[1] == 0


def test_probabilities_are_calibrated() -> None:
    data = lists(2_000)
    ranker = fit_linear_ranker(data, RankerOptions())
    probabilities = 1 / (1 + np.exp(-ranker.logits(data.features)))
    # Each list of 10 has one next item.
    assert abs(float(probabilities.mean()) - 0.1) < 0.005


def test_without_lists_all_scorers_count_the_same() -> None:
    ranker = fit_linear_ranker(lists(0), RankerOptions())
    assert ranker.lists == 0
    np.testing.assert_allclose(ranker.coefficients[:2], [0.5, 0.5])
    assert np.isfinite(ranker.logits(np.ones((3, len(NAMES)), np.float32))).all()


def test_lists_without_their_next_item_teach_nothing_about_order() -> None:
    data = lists(20)
    ranker = fit_linear_ranker(replace(data, targets=np.full(20, -1)), RankerOptions())
    assert ranker.lists == 0
    assert (ranker.coefficients > 0).sum() == 3


def test_little_data_stays_near_equal_weights() -> None:
    options = RankerOptions(prior_strength=1e6)
    ranker = fit_linear_ranker(lists(20), options)
    assert abs(ranker.coefficients[0] / ranker.coefficients[1] - 1) < 0.01


def test_joined_lists_keep_their_targets() -> None:
    parts = [lists(3, seed=1), lists(0), lists(4, seed=2)]
    parts[0] = replace(parts[0], targets=np.array([-1, *parts[0].targets[1:]]))
    joined = join_lists(parts)
    assert len(joined) == 7
    assert joined.targets[0] == -1
    np.testing.assert_array_equal(joined.features[joined.targets[3:]], parts[2].features[parts[2].targets])


def test_candidates_are_the_best_unseen_of_each_scorer_and_the_popular() -> None:
    scores = np.array([9, 8, 7, 0, 0, 0], np.float32)
    popularity = np.array([0, 0, 0, 0, 5, 4], np.float32)
    np.testing.assert_array_equal(candidate_rows([scores], popularity, np.array([0]), 1), [1, 4])
    np.testing.assert_array_equal(candidate_rows([], popularity, np.array([4]), 1), [5])
    np.testing.assert_array_equal(candidate_rows([scores], popularity, np.array([0]), 50), [1, 2, 3, 4, 5])


def test_lists_know_the_rank_of_the_next_item_for_each_scorer(circle: Interactions) -> None:
    next_on_circle = np.roll(np.eye(20, dtype=np.float32), 1, axis=1)
    stage = FirstStage({"walk": DenseScorer(next_on_circle, 0.5, 5)}, np.zeros(20, np.float32))
    positions = Positions(circle.offsets[:-1], circle.offsets[1:] - 1)
    built = build_candidate_lists(stage, circle, positions, candidates_per_scorer=3)
    assert len(built) == circle.user_count
    np.testing.assert_array_equal(built.scorer_ranks["walk"], 0)
    assert (built.targets >= 0).all()
    np.testing.assert_array_equal(built.ranks(built.features[:, 0]), 0)
    unseen = build_candidate_lists(
        stage, circle, positions, candidates_per_scorer=3, cut=np.zeros(len(positions), np.int64)
    )
    assert not unseen.features[:, 0].any()
