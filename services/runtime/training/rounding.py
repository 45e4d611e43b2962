"""Rounds tables to 8 bits, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 127


@dataclass(frozen=True)
class RoundedMatrix:
    """`values` int8 [rows, columns] times `scales` float32 [rows] approximates the matrix."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


def round_rows(matrix: NDArray[Any]) -> RoundedMatrix:
    """Rounds each row to int8 with its own scale; an all-zero row gets scale 1."""
    scales = np.abs(matrix).max(axis=1).astype(np.float32) / np.float32(LARGEST)
    scales[scales == 0] = 1
    values = np.rint(matrix.astype(np.float32) / scales[:, None])
    return RoundedMatrix(np.clip(values, -LARGEST, LARGEST).astype(np.int8), scales)
