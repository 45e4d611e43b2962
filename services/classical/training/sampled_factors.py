"""Matrix factorisation by gradient descent for large catalogues: sampled softmax, and steps that touch few rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse

from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.histories import decayed_histories, next_item_positions
from services.classical.training.matrix_factorization import MEAN_MEMORY, SQUARE_MEMORY, initial_factors
from services.classical.training.options import FactorOptions, LargeOptions
from services.classical.training.scorers import FactoredScorer


def fit_sampled_factors(
    interactions: Interactions,
    options: FactorOptions,
    large: LargeOptions,
    seed: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> FactoredScorer:
    """Learns the same model as `fit_factors`, against sampled negatives instead of the whole catalogue.

    Sampled softmax (Bengio, Senécal, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic
    Language Model", IEEE TNN 2008): negatives are drawn by how often items come next, to the power of .75 as in
    word2vec, and logits are corrected by how often they are drawn. Adam and weight decay look at the rows of a step
    only.

    Args:
        interactions: The events.
        options: Size, decay and training options.
        large: Negatives and positions of a step.
        seed: Seeds the initial factors, the order of positions and the negatives.
        progress: Called with the share done, 0 to 1.
    """
    random = np.random.default_rng(seed)
    shape = (interactions.item_count, options.dimensions)
    history_factors = _Rows(initial_factors(random, shape, options.initial_scale))
    candidate_factors = _Rows(initial_factors(random, shape, options.initial_scale))
    positions = next_item_positions(interactions)
    frequencies = np.bincount(interactions.items[positions.ends], minlength=shape[0]) ** 0.75
    cumulated = np.cumsum(frequencies / max(frequencies.sum(), 1))
    batches = -(-len(positions) // large.batch)
    epochs = max(options.epochs, -(-options.minimum_steps // batches)) if batches else 0
    for step in range(epochs * batches):
        if step % batches == 0:
            order = random.permutation(len(positions))
        place = step % batches * large.batch
        chosen = positions.take(order[place : place + large.batch])
        histories = decayed_histories(interactions, chosen, options.decay, options.window)
        known, compact = _compact(histories)
        sampled = np.unique(np.searchsorted(cumulated, random.random(large.negatives)).clip(max=shape[0] - 1))
        targets = interactions.items[chosen.ends]
        corrections = np.log(np.maximum(np.diff(cumulated, prepend=0)[sampled] * large.negatives, 1e-9))
        users = compact @ history_factors.values[known]
        users_gradient, target_gradient, sampled_gradient = _gradients(
            users, candidate_factors.values[targets], candidate_factors.values[sampled], targets, sampled, corrections
        )
        rate = options.learning_rate * (1 - (step + 1) / (epochs * batches))
        rows, inverse = np.unique(np.concatenate([targets, sampled]), return_inverse=True)
        gradient = _summed(inverse, np.concatenate([target_gradient, sampled_gradient]), len(rows))
        candidate_factors.descend(rows, gradient, rate, options.weight_decay)
        history_factors.descend(known, compact.T @ users_gradient, rate, options.weight_decay)
        progress((step + 1) / (epochs * batches))
    return FactoredScorer(history_factors.values, candidate_factors.values, options.decay, options.window)


def _compact(histories: scipy.sparse.csr_matrix) -> tuple[Integers, scipy.sparse.csr_matrix]:
    """The columns in use, and the matrix with only those."""
    known, columns = np.unique(histories.indices, return_inverse=True)
    shape = (histories.shape[0], len(known))
    return known, scipy.sparse.csr_matrix((histories.data, columns, histories.indptr), shape=shape)


def _gradients(
    users: Floats, wanted: Floats, negatives: Floats, targets: Integers, sampled: Integers, corrections: Floats
) -> tuple[Floats, Floats, Floats]:
    """Gradients of the mean cross-entropy with respect to users [B, D], their targets [B, D], the negatives [S, D]."""
    logits = users @ negatives.T
    logits -= corrections.astype(np.float32)
    # A sample that happens to be the target must not push it away.
    place = np.searchsorted(sampled, targets).clip(max=len(sampled) - 1)
    hit = np.flatnonzero(sampled[place] == targets)
    logits[hit, place[hit]] = -np.inf
    own = (users * wanted).sum(axis=1)
    top = np.maximum(logits.max(axis=1), own)
    np.exp(logits - top[:, None], out=logits)
    own = np.exp(own - top)
    total = logits.sum(axis=1) + own
    scale = np.float32(1 / len(targets))
    logits *= (scale / total)[:, None]
    missing = (scale * (own / total - 1))[:, None]
    toward = np.asarray(logits @ negatives + missing * wanted, np.float32)
    return toward, np.asarray(missing * users, np.float32), np.asarray(logits.T @ users, np.float32)


def _summed(rows: Integers, gradients: Floats, count: int) -> Floats:
    """Adds up gradients [M, D] of the same rows: [count, D]."""
    ones = np.ones(len(rows), np.float32)
    matrix = scipy.sparse.csr_matrix((ones, (rows, np.arange(len(rows)))), shape=(count, len(rows)))
    return np.asarray(matrix @ gradients, np.float32)


class _Rows:
    """A matrix, Adam's means of its gradient, and how many steps each row has seen."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self._mean, self._square = np.zeros_like(values), np.zeros_like(values)
        self._steps = np.zeros(len(values), np.int64)

    def descend(self, rows: Integers, gradient: Floats, rate: float, weight_decay: float) -> None:
        """One step of Adam with decoupled weight decay for some rows, each named once."""
        self._steps[rows] += 1
        steps = self._steps[rows, None].astype(np.float32)
        mean = self._mean[rows] + np.float32(1 - MEAN_MEMORY) * (gradient - self._mean[rows])
        square = self._square[rows] + np.float32(1 - SQUARE_MEMORY) * (gradient * gradient - self._square[rows])
        self._mean[rows], self._square[rows] = mean, square
        direction = mean / (1 - np.float32(MEAN_MEMORY) ** steps)
        deviation = np.sqrt(square / (1 - np.float32(SQUARE_MEMORY) ** steps))
        values = self.values[rows] * np.float32(1 - rate * weight_decay)
        self.values[rows] = values - np.float32(rate) * direction / (deviation + np.float32(1e-8))
