"""Matrix factorisation trained by gradient descent, in a form that needs no fold-in for new users or new events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.histories import decayed_histories, next_item_positions
from services.classical.training.options import FactorOptions
from services.classical.training.scorers import FactoredScorer

MEAN_MEMORY = 0.9
SQUARE_MEMORY = 0.999


def fit_factors(
    interactions: Interactions,
    options: FactorOptions,
    seed: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> FactoredScorer:
    """Learns q and p so that u = Σ αⱼ qⱼ over a history predicts the next item by softmax(u · p).

    The user has no parameters of their own (Kabbur et al., "FISM: Factored Item Similarity Models for Top-N
    Recommender Systems", KDD 2013); α is the recency decay times the event's weight; the loss is the full softmax
    over the catalogue, minimised with Adam (Kingma and Ba, ICLR 2015) and decoupled weight decay (Loshchilov and
    Hutter, ICLR 2019).

    Args:
        interactions: The events.
        options: Size, decay and training options.
        seed: Seeds the initial factors and the order of positions.
        progress: Called with the share done, 0 to 1.
    """
    random = np.random.default_rng(seed)
    shape = (interactions.item_count, options.dimensions)
    history_factors = _Parameter(initial_factors(random, shape, options.initial_scale))
    candidate_factors = _Parameter(initial_factors(random, shape, options.initial_scale))
    positions = next_item_positions(interactions)
    batches = -(-len(positions) // options.batch)
    epochs = max(options.epochs, -(-options.minimum_steps // batches)) if batches else 0
    steps = epochs * batches
    for step in range(steps):
        if step % batches == 0:
            order = random.permutation(len(positions))
        place = step % batches * options.batch
        chosen = positions.take(order[place : place + options.batch])
        histories = decayed_histories(interactions, chosen, options.decay, options.window)
        users = histories @ history_factors.values
        error = _softmax_error(users, candidate_factors.values, interactions.items[chosen.ends])
        rate = options.learning_rate * (1 - (step + 1) / steps)
        gradient = histories.T @ (error @ candidate_factors.values)
        candidate_factors.descend(error.T @ users, step + 1, rate, options.weight_decay)
        history_factors.descend(gradient, step + 1, rate, options.weight_decay)
        progress((step + 1) / steps)
    return FactoredScorer(history_factors.values, candidate_factors.values, options.decay, options.window)


def initial_factors(random: np.random.Generator, shape: tuple[int, int], scale: float) -> Floats:
    """Draws float32[N, D] from a normal distribution."""
    return np.float32(scale) * random.standard_normal(shape, np.float32)


def _softmax_error(users: Floats, candidates: Floats, targets: Integers) -> Floats:
    """Gradient of the mean cross-entropy with respect to the logits: float32[B, N]."""
    error: Floats = users @ candidates.T
    error -= error.max(axis=1, keepdims=True)
    np.exp(error, out=error)
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(targets)), targets] -= 1
    error /= np.float32(len(targets))
    return error


@dataclass
class _Parameter:
    """A matrix and Adam's two running means of its gradient."""

    values: Floats
    mean: Floats = field(init=False)
    square: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.mean = np.zeros_like(self.values)
        self.square = np.zeros_like(self.values)

    def descend(self, gradient: Floats, step: int, rate: float, weight_decay: float) -> None:
        """One step of Adam with decoupled weight decay; `step` counts from 1."""
        self.mean += np.float32(1 - MEAN_MEMORY) * (gradient - self.mean)
        self.square += np.float32(1 - SQUARE_MEMORY) * (gradient * gradient - self.square)
        mean = self.mean / np.float32(1 - MEAN_MEMORY**step)
        deviation = np.sqrt(self.square / np.float32(1 - SQUARE_MEMORY**step))
        self.values *= np.float32(1 - rate * weight_decay)
        self.values -= np.float32(rate) * mean / (deviation + np.float32(1e-8))
