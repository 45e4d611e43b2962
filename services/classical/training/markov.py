"""Decayed Markov item-to-item: what people take soon after an item."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from services.classical.training.dataset import Interactions
from services.classical.training.options import LargeOptions, MarkovOptions
from services.classical.training.scorers import DenseScorer, SparseScorer, strongest_neighbours


def fit_markov(
    interactions: Interactions, options: MarkovOptions, large: LargeOptions | None = None
) -> DenseScorer | SparseScorer:
    """Counts ordered pairs of events of one user, `fit_decay` weaker with each step between them.

    A first-order Markov chain over items (Rendle et al., "Factorizing Personalized Markov Chains for Next-Basket
    Recommendation", WWW 2010, unfactorised), smoothed by looking `fit_window` steps ahead. Counts are damped by
    powers of both items' totals instead of being made probabilities. Dislikes are left out of the count. Large
    catalogues keep the strongest neighbours of each item.
    """
    pairs = ordered_pairs(interactions, options.fit_window, options.fit_decay)
    if large and interactions.item_count > large.dense_items:
        return _sparse(pairs, options, large)
    similarities = np.asarray(pairs.toarray(), np.float32)
    np.fill_diagonal(similarities, 0.0)
    similarities /= _damping(similarities.sum(axis=1), options.source_exponent)[:, None]
    similarities /= _damping(np.asarray(pairs.sum(axis=0)).ravel(), options.target_exponent)
    return DenseScorer(similarities, options.decay, options.window)


def _sparse(pairs: Any, options: MarkovOptions, large: LargeOptions) -> SparseScorer:
    """The same counts and the same damping, for the strongest neighbours only."""
    incoming = np.asarray(pairs.sum(axis=0)).ravel()
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    outgoing = _damping(np.asarray(pairs.sum(axis=1)).ravel(), options.source_exponent)
    pairs.data /= (
        np.repeat(outgoing, np.diff(pairs.indptr)) * _damping(incoming, options.target_exponent)[pairs.indices]
    )
    return strongest_neighbours(pairs, large.neighbours, options.decay, options.window)


def ordered_pairs(interactions: Interactions, window: int, decay: float) -> Any:
    """Counts positive events of one user that follow each other within `window` steps.

    Returns:
        A float32 scipy CSR matrix [N, N], earlier item by later item: the sum of `decay`^(steps between - 1).
    """
    positive = interactions.weights > 0
    users, items = interactions.users[positive], interactions.items[positive]
    count = interactions.item_count
    pairs = scipy.sparse.csr_matrix((count, count), dtype=np.float32)
    for gap in range(1, min(window, len(items) - 1) + 1):
        same_user = users[gap:] == users[:-gap]
        source, target = items[:-gap][same_user], items[gap:][same_user]
        strength = np.full(len(source), decay ** (gap - 1), np.float32)
        pairs = pairs + scipy.sparse.csr_matrix((strength, (source, target)), shape=(count, count))
    return pairs


def _damping(
    totals: np.ndarray[tuple[int], np.dtype[np.float32]], exponent: float
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    # Items without pairs have nothing to be damped.
    return np.where(totals > 0, totals, 1.0).astype(np.float32) ** np.float32(exponent)
