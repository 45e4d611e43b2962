from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from services.classical.features import (
    feature_names,
    history_contributions,
    ranker_features,
    standardise,
)

SCORES = {"ease": np.array([1, 3], np.float32), "markov": np.array([10, 10], np.float32)}
STATISTICS = {"ease": np.array([1, 2], np.float32), "markov": np.array([5, 10], np.float32)}
POPULARITY = np.array([-1, 2], np.float32)


def test_names_are_the_scorers_then_the_popularities() -> None:
    assert feature_names(["ease", "markov"]) == ("ease", "markov", "popularity", "popularity_for_newcomers")


def test_each_column_holds_its_feature() -> None:
    names = feature_names(["ease", "markov"])
    features = ranker_features(names, SCORES, STATISTICS, POPULARITY, history_length=3)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, [[0, 0.5, -1, -0.25], [1, 0.5, 2, 0.5]])


def test_a_column_follows_the_order_of_the_names() -> None:
    features = ranker_features(["popularity", "markov", "ease"], SCORES, STATISTICS, POPULARITY, 0)
    np.testing.assert_allclose(features, [[-1, 0.5, 0], [2, 0.5, 1]])


def test_a_scorer_that_did_not_answer_changes_no_order() -> None:
    features = ranker_features(
        ["ease", "content_text"], {"ease": SCORES["ease"]}, {"ease": STATISTICS["ease"]}, POPULARITY, 3
    )
    np.testing.assert_array_equal(features[:, 1], [0, 0])


def test_a_scorer_that_cannot_tell_items_apart_gives_zeros() -> None:
    np.testing.assert_array_equal(standardise(np.zeros(2, np.float32), np.zeros(2, np.float32)), [0, 0])


def test_no_candidates_give_no_rows() -> None:
    empty = np.zeros(0, np.float32)
    assert ranker_features(["ease"], {"ease": empty}, STATISTICS, empty, 3).shape == (0, 1)


def test_contributions_of_events_add_up_to_the_scorers_part_of_the_linear_score() -> None:
    contributions = {
        "ease": np.array([[0.25, 1], [0.75, 2]], np.float32),
        "markov": np.array([[4, 10], [6, 0]], np.float32),
    }
    names = feature_names(["ease", "markov"])
    weights = np.array([2, 3, 100, 100], np.float32)
    traced = history_contributions(names, weights, contributions, STATISTICS)
    np.testing.assert_allclose(traced, [[0.25 + 1.2, 1 + 3], [0.75 + 1.8, 2]], rtol=1e-6)

    features = ranker_features(names, SCORES, STATISTICS, POPULARITY, 2)
    means = 2 * STATISTICS["ease"][0] / STATISTICS["ease"][1] + 3 * STATISTICS["markov"][0] / STATISTICS["markov"][1]
    np.testing.assert_allclose(traced.sum(axis=0) - means, features[:, :2] @ weights[:2], rtol=1e-6)


@pytest.mark.parametrize("forbidden", ["scipy", "sklearn", "onnx"])
def test_serving_it_loads_no_training_library(forbidden: str) -> None:
    code = f"import sys, services.classical.features; sys.exit({forbidden!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
