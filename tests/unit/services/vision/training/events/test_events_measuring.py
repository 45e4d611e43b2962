"""Average precision as scikit-learn computes it; figures leave out what is unknown."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from services.vision.training.events.measuring import average_precision, base_rates, figures


@pytest.mark.parametrize("levels", [1000, 4])
def test_average_precision_is_that_of_scikit_learn(levels: int) -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, levels, 300).astype(np.float32)
    happened = random.random(300) < 0.2

    assert average_precision(scores, happened) == pytest.approx(average_precision_score(happened, scores))


def test_unknown_seconds_count_for_nothing() -> None:
    targets = np.zeros((2, 40, 6), np.int8)
    targets[0, :20] = 1
    targets[1, :, 1] = -1
    answers = targets.astype(np.float32)
    # Wrong, if it were asked.
    answers[1, :, 1] = 1

    measured = figures(["pong", "qbert"], answers, targets)

    assert measured.mean == 1
    assert ("pong", "kill") in measured.cells
    assert ("qbert", "kill") not in measured.cells


def test_the_base_rate_is_each_games_own() -> None:
    targets = np.zeros((2, 10, 6), np.int8)
    targets[0, :5] = 1

    rates = base_rates(["qbert", "pong"], ["pong", "qbert"], targets, 3)

    assert rates.shape == (2, 3, 6)
    assert rates[1].tolist() == [[0.5] * 6] * 3
    assert not rates[0].any()
