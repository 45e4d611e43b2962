"""Muon (Jordan et al. 2024): the update of a matrix is its momentum made orthogonal; fewer texts for the same loss.

The one of torch computes in bfloat16, which takes a third of a step on a CPU that has no such unit; this one stays in
float32.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# The published polynomial: five rounds bring every singular value near 1.
_ROUNDS = 5
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315


class Muon:
    """Steps matrices; `rate` is set from outside before each step."""

    def __init__(self, matrices: Iterable[nn.Parameter], momentum: float = 0.95, weight_decay: float = 0.05) -> None:
        """Keep the matrices with a momentum each."""
        self._matrices = list(matrices)
        self._momenta = [torch.zeros_like(matrix) for matrix in self._matrices]
        self._momentum, self._weight_decay = momentum, weight_decay

    def step(self, rate: float) -> None:
        """Update all matrices from their gradients, and clear these."""
        with torch.no_grad():
            for matrix, momentum in zip(self._matrices, self._momenta, strict=True):
                if matrix.grad is None:
                    continue
                momentum.lerp_(matrix.grad, 1 - self._momentum)
                update = orthogonal(matrix.grad.lerp(momentum, self._momentum))
                reach = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - rate * self._weight_decay).add_(update, alpha=-rate * reach)
                matrix.grad = None


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix whose rows, or columns where there are fewer, are orthonormal."""
    tall = matrix.shape[0] > matrix.shape[1]
    value = matrix.T if tall else matrix
    value = value / (value.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = value @ value.T
        value = _LINEAR * value + (_CUBIC * square + _QUINTIC * square @ square) @ value
    return value.T if tall else value
