"""Fitted candidate scorers: what a fit returns, what a graph is written from, and the reference for its parity check.

Every scorer of this family is a sum over history events j of weightⱼ · decay^(steps back) · similarity(j, candidate),
taken over the newest `window` events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


Scorer = DenseScorer | FactoredScorer | GraphScorer
