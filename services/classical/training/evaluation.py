"""Quality of rankings: hit rate and NDCG over the full catalogue, and whether a difference is more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.classical.training.dataset import Floats, Integers

Ranks = NDArray[np.float64]


class Quality(NamedTuple):
    """Figures over a set of users, with one relevant item each.

    Attributes:
        hit_rate: Share of users whose item is among the first 10.
        ndcg: Mean of 1 / log2(rank + 2) over users, 0 past the first 10.
    """

    hit_rate: float
    ndcg: float


class Difference(NamedTuple):
    """Mean of a paired difference and its 95 % interval over users."""

    mean: float
    low: float
    high: float


def rank_of_target(scores: Floats, target: int, seen: Integers) -> float:
    """Rank of row `target` among all rows but the seen ones, 0 best; ties share their mean rank.

    Args:
        scores: float32[N].
        target: A row that is not in `seen`.
        seen: Rows that are never shown.
    """
    score = scores[target]
    better, equal = scores > score, scores == score
    better[seen] = False
    equal[seen] = False
    return float(better.sum() + (equal.sum() - 1) / 2)


def gains(ranks: Ranks, k: int = 10) -> Ranks:
    """NDCG@k of each user: 1 / log2(rank + 2) within the first k, else 0. A rank may be infinite."""
    return np.where(ranks < k, 1 / np.log2(np.minimum(ranks, k) + 2), 0.0)


def quality(ranks: Ranks, k: int = 10) -> Quality:
    """Hit rate and NDCG at k; both 0 without users."""
    if not len(ranks):
        return Quality(0.0, 0.0)
    return Quality(float((ranks < k).mean()), float(gains(ranks, k).mean()))


def paired_bootstrap(ours: Ranks, theirs: Ranks, seed: int = 0, rounds: int = 2_000) -> Difference:
    """Mean of `ours - theirs` and its 95 % percentile interval, drawing users with replacement.

    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993. Pairing by user takes away most of the noise:
    both systems face the same easy and hard users.

    Args:
        ours: One value a user, for example `gains(...)`.
        theirs: The same users in the same order.
        seed: Seeds the draws.
        rounds: Number of draws.

    Raises:
        ValueError: The two have different lengths or none.
    """
    if ours.shape != theirs.shape or not len(ours):
        raise ValueError(f"{ours.shape} values cannot be paired with {theirs.shape}")
    difference = ours - theirs
    random = np.random.default_rng(seed)
    means = [difference[random.integers(0, len(difference), len(difference))].mean() for _ in range(rounds)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(difference.mean()), float(low), float(high))
