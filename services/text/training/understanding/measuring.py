"""Figures of the three tasks on a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

Floats = NDArray[np.float64]
Figures = dict[str, float]


@dataclass(frozen=True)
class Flips:
    """How many decisions another precision changed, of how many."""

    changed: int
    of: int

    @property
    def share(self) -> float:
        """Share of the decisions, 0 to 1."""
        return self.changed / max(1, self.of)


THRESHOLDS = np.round(np.arange(0.04, 0.81, 0.02), 2)


def sentiment_figures(outputs: Floats, ratings: Floats) -> Figures:
    """Return F1 of the positive class (mean rating above 0) and Pearson's r with the mean rating."""
    return {
        "f1": float(f1_score(ratings > 0, outputs[:, 1] > 0)),
        "r": float(np.corrcoef(np.tanh(outputs[:, 0]), ratings)[0, 1]),
    }


def probabilities(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x))."""
    result: Floats = 1 / (1 + np.exp(-logits))
    return result


def choose_thresholds(logits: Floats, targets: Floats, shrink: float = 8.0) -> Floats:
    """Return the threshold of each label that has the best F1, drawn towards the common best for rare labels.

    Args:
        logits: float64 [N, labels].
        targets: zeros and ones of the same shape.
        shrink: positives that the common threshold counts as.
    """
    found = probabilities(logits)
    common = max(
        THRESHOLDS, key=lambda value: float(f1_score(targets, found > value, average="macro", zero_division=0))
    )
    chosen = []
    for label in range(targets.shape[1]):
        scores = [f1_score(targets[:, label], found[:, label] > value, zero_division=0) for value in THRESHOLDS]
        # The middle of all thresholds that are about as good as the best.
        best = THRESHOLDS[np.array(scores) >= max(scores) - 0.01].mean()
        count = targets[:, label].sum()
        chosen.append((count * best + shrink * common) / (count + shrink))
    return np.array(chosen)


def emotion_figures(logits: Floats, targets: Floats, thresholds: Floats) -> tuple[Figures, list[float]]:
    """Return macro- and micro-F1, and the F1 of each label."""
    answers = probabilities(logits) > thresholds
    each = [float(f1_score(targets[:, k], answers[:, k], zero_division=0)) for k in range(targets.shape[1])]
    return {"macro_f1": float(np.mean(each)), "micro_f1": float(f1_score(targets, answers, average="micro"))}, each


def flips(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Flips:
    """Compare decisions of two precisions, in any shape."""
    return Flips(int((before != after).sum()), int(before.size))
