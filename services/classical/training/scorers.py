"""Fitted candidate scorers: what a fit returns, what a graph is written from, and the reference for its parity check.

Every scorer of this family is a sum over history events j of weightⱼ · decay^(steps back) · similarity(j, candidate),
taken over the newest `window` events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from services.classical.training.dataset import Floats, Interactions
from services.classical.training.extra_sources import GraphScorer
from services.classical.training.histories import Positions, decayed_histories


@dataclass(frozen=True)
class DenseScorer:
    """Similarities as one matrix.

    Attributes:
        similarities: float32[N, N]; row: history item, column: candidate.
        decay: Factor for each step back in the history, above 0, at most 1.
        window: Newest events that count, at least 1.
    """

    similarities: Floats
    decay: float
    window: int

    def score(self, interactions: Interactions, positions: Positions) -> Floats:
        """Scores every item for P histories: float32[P, N]."""
        histories = decayed_histories(interactions, positions, self.decay, self.window)
        return np.asarray(histories @ self.similarities, np.float32)


@dataclass(frozen=True)
class FactoredScorer:
    """Similarities as products of two vectors: the user is u = Σ αⱼ qⱼ, a candidate's score u · p.

    Attributes:
        history_factors: float32[N, D], the q of each item.
        candidate_factors: float32[N, D], the p of each item; may be the same array.
        decay: Factor for each step back in the history, above 0, at most 1.
        window: Newest events that count, at least 1.
    """

    history_factors: Floats
    candidate_factors: Floats
    decay: float
    window: int

    def score(self, interactions: Interactions, positions: Positions) -> Floats:
        """Scores every item for P histories: float32[P, N]."""
        histories = decayed_histories(interactions, positions, self.decay, self.window)
        return np.asarray((histories @ self.history_factors) @ self.candidate_factors.T, np.float32)


@dataclass(frozen=True)
class SparseScorer:
    """Similarities to a few neighbours only.

    Attributes:
        neighbours: int32[N, K], the neighbours of each item; without repeats where the strength is not 0.
        strengths: float32[N, K], their similarities; 0 where an item has fewer.
        decay: Factor for each step back in the history, above 0, at most 1.
        window: Newest events that count, at least 1.
    """

    neighbours: NDArray[np.int32]
    strengths: Floats
    decay: float
    window: int

    def score(self, interactions: Interactions, positions: Positions) -> Floats:
        """Scores every item for P histories: float32[P, N]."""
        histories = decayed_histories(interactions, positions, self.decay, self.window)
        count, width = self.neighbours.shape
        pointers = np.arange(0, count * width + 1, width)
        matrix = scipy.sparse.csr_matrix(
            (self.strengths.ravel(), self.neighbours.ravel(), pointers), shape=(count, count)
        )
        return np.asarray((histories @ matrix).toarray(), np.float32)


def strongest_neighbours(similarities: Any, width: int, decay: float, window: int) -> SparseScorer:
    """Keeps the `width` largest similarities of each item, by absolute value.

    Args:
        similarities: A scipy CSR matrix [N, N] without a diagonal.
        width: K.
        decay: Of the scorer.
        window: Of the scorer.
    """
    count = similarities.shape[0]
    lengths = np.diff(similarities.indptr)
    owners = np.repeat(np.arange(count), lengths)
    order = np.lexsort((-np.abs(similarities.data), owners))
    place = np.arange(len(order)) - np.repeat(similarities.indptr[:-1], lengths)
    kept = place < width
    neighbours = np.zeros((count, width), np.int32)
    strengths = np.zeros((count, width), np.float32)
    neighbours[owners[kept], place[kept]] = similarities.indices[order][kept]
    strengths[owners[kept], place[kept]] = similarities.data[order][kept]
    return SparseScorer(neighbours, strengths, decay, window)


Scorer = DenseScorer | SparseScorer | FactoredScorer | GraphScorer
