from __future__ import annotations

import numpy as np
import pytest

from services.classical.training.evaluation import gains, paired_bootstrap, quality, rank_of_target

NONE = np.zeros(0, np.int64)


def test_the_rank_counts_better_unseen_items() -> None:
    scores = np.array([5, 4, 3, 2], np.float32)
    assert rank_of_target(scores, 2, NONE) == 2
    assert rank_of_target(scores, 2, np.array([0])) == 1


def test_ties_share_their_mean_rank() -> None:
    assert rank_of_target(np.zeros(5, np.float32), 3, NONE) == 2
    assert rank_of_target(np.zeros(5, np.float32), 3, np.array([0, 1])) == 1


def test_figures_of_a_known_ranking() -> None:
    ranks = np.array([0.0, 1.0, 9.0, 10.0, np.inf])
    expected = [1, 1 / np.log2(3), 1 / np.log2(11), 0, 0]
    np.testing.assert_allclose(gains(ranks), expected)
    hit_rate, ndcg = quality(ranks)
    assert hit_rate == pytest.approx(0.6)
    assert ndcg == pytest.approx(np.mean(expected))
    assert quality(np.zeros(0)) == (0.0, 0.0)


def test_the_bootstrap_tells_a_difference_from_chance() -> None:
    random = np.random.default_rng(1)
    easy = random.random(500)
    clear = paired_bootstrap(easy + 0.1 + 0.1 * random.standard_normal(500), easy)
    assert clear.low > 0
    assert clear.low < clear.mean < clear.high
    noise = paired_bootstrap(easy + 0.1 * random.standard_normal(500), easy)
    assert noise.low < 0 < noise.high


def test_the_bootstrap_repeats_itself() -> None:
    ours, theirs = np.random.default_rng(1).random((2, 50))
    assert paired_bootstrap(ours, theirs, seed=3) == paired_bootstrap(ours, theirs, seed=3)


def test_only_the_same_users_can_be_paired() -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_bootstrap(np.zeros(3), np.zeros(4))
