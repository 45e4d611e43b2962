"""Rounds linear layers to 8 bits, with errors that make up for each other.

Two constraints shape what happens here. CPUs without VNNI instructions add two neighbouring products of an unsigned
activation and a signed weight in 16 bits and saturate, so two neighbouring weights of a row never exceed 128 in sum of
magnitudes: 255 * 128 < 2 ** 15. And answers must not depend on what else is in the batch, so no range is taken
over a batch: ranges are either constants of the graph or taken over one token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.runtime.training.rounding import LARGEST, RoundedMatrix

Matrix = NDArray[np.float64]
PAIR_LIMIT = 128
BLOCK = 128


def pair_scales(weight: Matrix) -> NDArray[np.float32]:
    """Returns the smallest row scales that keep every two neighbouring rounded weights within `PAIR_LIMIT`."""
    magnitudes = np.abs(weight)
    largest_pair = (magnitudes[:, ::2] + magnitudes[:, 1::2]).max(axis=1)
    return (largest_pair / LARGEST).astype(np.float32)


def round_linear(weight: Matrix, second_moments: Matrix, damping: float = 0.01) -> RoundedMatrix:
    """Rounds a weight [outputs, inputs] so that the layer's outputs, not the weights, change least.

    Columns are rounded one after another; each column's error is made up for by the columns not rounded yet, as
    far as the inputs are correlated (GPTQ: Frantar et al. 2023, "Accurate post-training quantization for generative
    pre-trained transformers").

    Args:
        weight: The layer's weight in the coordinates of its quantised inputs; an even number of inputs.
        second_moments: Sum over calibration tokens of input outer products, [inputs, inputs].
        damping: Share of the mean diagonal added to the diagonal.
    """
    # One row an input, because inputs are rounded one after another.
    rest = np.ascontiguousarray(weight.T)
    inputs = len(rest)
    scales = pair_scales(weight)
    steps = scales.astype(np.float64)
    damped = second_moments + np.eye(inputs) * damping * np.diagonal(second_moments).mean()
    compensation = np.ascontiguousarray(np.linalg.cholesky(np.linalg.inv(damped)).T)
    rounded = np.zeros_like(rest)
    for start in range(0, inputs, BLOCK):
        end = min(start + BLOCK, inputs)
        errors = np.zeros((end - start, len(weight)))
        for row in range(start, end):
            limit = LARGEST if row % 2 == 0 else np.minimum(PAIR_LIMIT - np.abs(rounded[row - 1]), LARGEST)
            rounded[row] = np.clip(np.rint(rest[row] / steps), -limit, limit)
            error = (rest[row] - rounded[row] * steps) / compensation[row, row]
            rest[row:end] -= np.outer(compensation[row, row:end], error)
            errors[row - start] = error
        rest[end:] -= compensation[start:end, end:].T @ errors
    return RoundedMatrix(np.ascontiguousarray(rounded.T).astype(np.int8), scales)


@dataclass(frozen=True)
class InputGrid:
    """How a layer's inputs become unsigned bytes: input k is about `steps[k] * (byte - zero_points[k])`."""

    steps: NDArray[np.float32]
    zero_points: NDArray[np.uint8]


def input_grid(lowest: Matrix, highest: Matrix, weight: Matrix, migration: float = 0.8) -> InputGrid:
    """Chooses one step for each input channel from the range seen in calibration.

    Channels with wide ranges get wider steps, and the weights take up the difference, so that a few outlier channels
    do not cost all the others their precision (SmoothQuant: Xiao et al. 2023).

    Args:
        lowest, highest: Range of each input in calibration, [inputs].
        weight: The layer's weight [outputs, inputs].
        migration: 0 puts all of the difficulty on the inputs, 1 all of it on the weights.
    """
    centre = (lowest + highest) / 2
    reach = np.maximum((highest - lowest) / 2, 1e-4)
    relative = reach**migration / np.maximum(np.abs(weight).max(axis=0), 1e-4) ** (1 - migration)
    steps = (relative * (reach / relative).max() / LARGEST).astype(np.float32)
    zero_points = np.clip(np.rint(128 - centre / steps), 0, 255).astype(np.uint8)
    return InputGrid(steps, zero_points)
