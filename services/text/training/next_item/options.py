"""Choices of the next-item Transformer's fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NextItemOptions:
    """The next-item Transformer; defaults as everywhere: the validation position of MovieLens-100K.

    Attributes:
        window: Newest events of a history that are read, at least 2.
        dimensions: Length of all vectors, a multiple of both numbers of heads.
        layers: Self-attention blocks below the pooling.
        heads: Heads of a block.
        pooling_heads: Heads of the attention that adds the events up.
        expansion: Inner width of a block's feed-forward part, in multiples of `dimensions`.
        dropout: Share of activations left out while fitting.
        epochs: Passes over all windows.
        minimum_steps: Fewest gradient steps; tiny data sets get more passes to reach it.
        batch: Windows a step.
        learning_rate: AdamW's largest step size; rises over `warm_up` steps, then falls linearly to zero.
        warm_up: Steps until the largest step size.
        weight_decay: Decoupled weight decay of matrices.
        initial_scale: Standard deviation of the item vectors before the first step.
    """

    window: int = 64
    dimensions: int = 64
    layers: int = 1
    heads: int = 2
    pooling_heads: int = 4
    expansion: int = 2
    dropout: float = 0.3
    epochs: int = 12
    minimum_steps: int = 200
    batch: int = 32
    learning_rate: float = 0.003
    warm_up: int = 50
    weight_decay: float = 1.0
    initial_scale: float = 0.05
