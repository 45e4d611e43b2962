"""How far the answers of a converted graph may be from the original's, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.training.imports.importer import Precision
from services.runtime.training.imports.refusal import ImportRefused

Floats = NDArray[np.float32]
LEAST_NEIGHBOUR_COSINE = 0.9995
"""Between an answer alone and among others; the rule of every model that is served."""
DECISIVE = 0.01
"""A changed choice counts when the original gave its own choice this much more probability."""


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        name: for the card.
        value: what was measured.
        least: what it must be at least; None without such a limit.
        most: what it may be at most; None without such a limit.
    """

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it is within its limits; what is not a number is not."""
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most) and bool(np.isfinite(self.value))

    def row(self) -> str:
        """Return the line of the card's table."""
        limit = f"at least {self.least:g}" if self.least is not None else ""
        limit = f"at most {self.most:g}" if self.most is not None else limit
        return f"| {self.name} | {self.value:.6g} | {limit} |"


def require(figures: Sequence[Figure], precision: Precision) -> None:
    """Check that every figure is within its limits.

    Raises:
        ImportRefused: one is not.
    """
    failed = [figure for figure in figures if not figure.passed]
    if failed:
        limits = [f"{one.value:.6g} ({one.name}; {one.row().split('|')[3].strip()})" for one in failed]
        raise ImportRefused(
            f"the converted model is too far from the original: {', '.join(limits)}",
            "Choose --precision float32." if precision != "float32" else "",
        )


def summary(figures: Sequence[Figure]) -> str:
    """Return the figures in one line."""
    return ", ".join(f"{figure.name} {figure.value:.5g}" for figure in figures)


def cosines(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine of each pair of rows, [N]; of two zero rows 1."""
    first, second = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    result: NDArray[np.float64] = np.where(lengths > 0, (first * second).sum(axis=1) / np.maximum(lengths, 1e-30), 1.0)
    return result


def changed_choices(original: NDArray[Any], converted: NDArray[Any]) -> tuple[float, float]:
    """Return the share of rows whose most probable column is the same, and of those where it changed and it matters.

    Args:
        original: probabilities [N, C].
        converted: probabilities [N, C].
    """
    rows = np.arange(len(original))
    own, other = original.argmax(axis=1), converted.argmax(axis=1)
    lost = original[rows, own] - original[rows, other]
    return float((own == other).mean()), float((lost > DECISIVE).mean())
