"""The first stage: every candidate scorer of a bundle, fitted on the same events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from services.classical.training.dataset import Floats, Interactions
from services.classical.training.ease import fit_ease
from services.classical.training.histories import Positions
from services.classical.training.markov import fit_markov
from services.classical.training.matrix_factorization import fit_factors
from services.classical.training.options import FitOptions
from services.classical.training.scorers import FactoredScorer, Scorer


@dataclass(frozen=True)
class FirstStage:
    """Fitted scorers by name, and the popularity that goes with them.

    Attributes:
        scorers: Name to scorer, in the order of the bundle.
        popularity: float32[N], log(1 + events), standardised over the catalogue.
    """

    scorers: Mapping[str, Scorer]
    popularity: Floats

    def score(self, interactions: Interactions, positions: Positions) -> dict[str, Floats]:
        """Scores every item for P histories: scorer name to float32[P, N]."""
        return {name: scorer.score(interactions, positions) for name, scorer in self.scorers.items()}


def fit_first_stage(
    interactions: Interactions,
    content: Mapping[str, FactoredScorer],
    options: FitOptions,
    progress: Callable[[float], None] = lambda fraction: None,
) -> FirstStage:
    """Fits EASE, Markov and factors; content scorers need no fit and are taken along."""
    ease = fit_ease(interactions, options.ease)
    progress(0.1)
    markov = fit_markov(interactions, options.markov)
    progress(0.2)
    factors = fit_factors(interactions, options.factors, options.seed, lambda done: progress(0.2 + 0.8 * done))
    scorers: dict[str, Scorer] = {"ease": ease, "markov": markov, "factors": factors, **content}
    return FirstStage(scorers, popularity(interactions))


def popularity(interactions: Interactions) -> Floats:
    """float32[N]: log(1 + number of events), standardised over the catalogue; zeros when all items are alike."""
    counts = np.log1p(np.bincount(interactions.items, minlength=interactions.item_count))
    deviation = counts.std()
    if deviation == 0:
        return np.zeros(interactions.item_count, np.float32)
    return np.asarray((counts - counts.mean()) / deviation, np.float32)
