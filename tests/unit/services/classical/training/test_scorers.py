from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from services.classical.training.content import ContentVectors, fit_content, tag_vectors
from services.classical.training.dataset import Event, Floats, Interactions
from services.classical.training.ease import fit_ease
from services.classical.training.histories import Positions, decayed_histories, next_item_positions, whole_histories
from services.classical.training.markov import fit_markov
from services.classical.training.matrix_factorization import fit_factors
from services.classical.training.options import ContentOptions, EaseOptions, FitOptions, MarkovOptions
from services.classical.training.scorers import DenseScorer, SparseScorer


def similarities(scorer: DenseScorer | SparseScorer) -> Floats:
    assert isinstance(scorer, DenseScorer)
    return scorer.similarities


def next_items(interactions: Interactions, scores: Floats) -> NDArray[np.int64]:
    """How many steps on the circle the best unseen row lies ahead of the newest item, for each user."""
    unseen = scores.copy()
    for user in range(interactions.user_count):
        unseen[user, interactions.items[interactions.offsets[user] : interactions.offsets[user + 1]]] = -np.inf
    newest = interactions.items[interactions.offsets[1:] - 1]
    steps: NDArray[np.int64] = (unseen.argmax(axis=1) - newest) % interactions.item_count
    return steps


def test_histories_decay_by_position_within_the_window() -> None:
    events = [Event("ann", item, time, weight) for time, (item, weight) in enumerate([("a", 1), ("b", 2), ("a", 3)])]
    interactions = Interactions.from_events(events, ["a", "b"])
    whole = whole_histories(interactions)
    np.testing.assert_allclose(decayed_histories(interactions, whole, 0.5).toarray(), [[3.25, 1]])
    np.testing.assert_allclose(decayed_histories(interactions, whole, 0.5, window=2).toarray(), [[3, 1]])
    nothing = Positions(np.zeros(1, np.int64), np.zeros(1, np.int64))
    np.testing.assert_allclose(decayed_histories(interactions, nothing, 0.5).toarray(), [[0, 0]])


def test_positions_to_learn_from_have_a_history_and_an_unseen_positive_item_next() -> None:
    events = [Event("ann", "a", 1), Event("ann", "b", 2), Event("ann", "a", 3), Event("ann", "c", 4, -1)]
    positions = next_item_positions(Interactions.from_events([*events, Event("ben", "a", 1)], ["a", "b", "c"]))
    np.testing.assert_array_equal(positions.starts, [0])
    np.testing.assert_array_equal(positions.ends, [1])


def test_ease_solves_its_equations(circle: Interactions) -> None:
    options = EaseOptions(regularization=10.0, fit_decay=0.9)
    found = similarities(fit_ease(circle, options))
    histories = decayed_histories(circle, whole_histories(circle), 0.9).toarray().astype(np.float64)
    inverse = np.linalg.inv(histories.T @ histories + 10.0 * np.eye(20))
    expected = -inverse / np.diagonal(inverse)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.flags.c_contiguous


def test_ease_finds_a_neighbour_on_the_circle(circle: Interactions, options: FitOptions) -> None:
    scorer = fit_ease(circle, options.ease)
    steps = next_items(circle, scorer.score(circle, whole_histories(circle)))
    assert set(steps.tolist()) == {1}


def test_markov_counts_pairs_with_decay() -> None:
    events = [Event("ann", item, time) for time, item in enumerate("abcd")]
    interactions = Interactions.from_events([*events, Event("ben", "a", 0)], list("abcd"))
    options = MarkovOptions(fit_window=2, fit_decay=0.5, source_exponent=0.0, target_exponent=0.0)
    found = similarities(fit_markov(interactions, options))
    expected = np.array([[0, 1, 0.5, 0], [0, 0, 1, 0.5], [0, 0, 0, 1], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(found, expected)
    probabilities = similarities(fit_markov(interactions, replace(options, source_exponent=1.0)))
    np.testing.assert_allclose(probabilities.sum(axis=1), [1, 1, 1, 0], rtol=1e-6)


def test_markov_and_factors_find_the_next_item(circle: Interactions, options: FitOptions) -> None:
    for scorer in (fit_markov(circle, options.markov), fit_factors(circle, options.factors, seed=1)):
        assert (next_items(circle, scorer.score(circle, whole_histories(circle))) == 1).all()


def test_factors_are_the_same_with_the_same_seed(circle: Interactions, options: FitOptions) -> None:
    one, same, other = (fit_factors(circle, options.factors, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.history_factors, same.history_factors)
    assert not np.array_equal(one.history_factors, other.history_factors)


def test_dislikes_are_no_evidence_for_what_comes_with_them(circle: Interactions, options: FitOptions) -> None:
    disliked = replace(circle, weights=-circle.weights)
    assert not similarities(fit_markov(disliked, options.markov)).any()
    assert not similarities(fit_ease(disliked, options.ease)).any()


def test_a_disliked_event_counts_against_its_neighbours() -> None:
    scorer = DenseScorer(np.array([[0, 2], [2, 0]], np.float32), decay=1.0, window=5)
    interactions = Interactions.from_events([Event("ann", "a", 1, weight=-0.5)], ["a", "b"])
    np.testing.assert_allclose(scorer.score(interactions, whole_histories(interactions)), [[0, -1]])


def test_content_scores_by_centred_cosine_and_leaves_unknown_items_neutral() -> None:
    vectors = np.array([[10, 1], [10, 1], [10, -1]], np.float32)
    scorer = fit_content(ContentVectors("text", np.array([0, 1, 3]), vectors), 4, ContentOptions())
    interactions = Interactions.from_events([Event("ann", "a", 1)], list("abcd"))
    scores = scorer.score(interactions, whole_histories(interactions))
    np.testing.assert_allclose(scores, [[1, 1, 0, -1]], atol=1e-6)


def test_tags_become_vectors_of_the_items_that_have_some() -> None:
    content = tag_vectors([["war"], [], ["comedy", "war"]])
    np.testing.assert_array_equal(content.rows, [0, 2])
    np.testing.assert_array_equal(content.vectors, [[0, 1], [1, 1]])


@pytest.mark.parametrize(
    ("rows", "vectors"),
    [([0, 1], [[1.0]]), ([5], [[1.0]]), ([0, 0], [[1.0], [2.0]]), ([0], [[np.nan]]), ([0], [1.0])],
)
def test_content_that_does_not_fit_is_refused(rows: list[int], vectors: list[object]) -> None:
    with pytest.raises(ValueError, match="vector"):
        fit_content(ContentVectors("text", np.array(rows), np.array(vectors, np.float32)), 3, ContentOptions())
