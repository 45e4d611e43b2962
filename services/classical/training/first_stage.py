"""The first stage: every candidate scorer of a bundle, fitted on the same events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from services.classical.training.dataset import Floats, Interactions
from services.classical.training.ease import fit_ease
from services.classical.training.histories import Positions
from services.classical.training.ials import fit_ials
from services.classical.training.item2vec import fit_item2vec
from services.classical.training.markov import fit_markov
from services.classical.training.matrix_factorization import fit_factors
from services.classical.training.options import FitOptions
from services.classical.training.sampled_factors import fit_sampled_factors
from services.classical.training.scorers import FactoredScorer, Scorer

_SHARES = {"ease": 0.1, "markov": 0.1, "factors": 0.7, "ials": 0.05, "item2vec": 0.05}
"""Share of each fit's time, for progress."""


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
    """Fits the scorers that the options name, in their order; content scorers need no fit and are taken along."""
    fits: dict[str, Callable[[Callable[[float], None]], Scorer]] = {
        "ease": lambda part: fit_ease(interactions, options.ease, options.large),
        "markov": lambda part: fit_markov(interactions, options.markov, options.large),
        "factors": lambda part: _fit_factors(interactions, options, part),
        "ials": lambda part: fit_ials(interactions, options.ials, options.seed),
        "item2vec": lambda part: fit_item2vec(interactions, options.item2vec, options.seed),
    }
    shares = {name: _SHARES[name] for name in options.sources}
    for extra in options.extra:
        fits[extra.name] = partial(extra.fit, interactions, options.seed)
        shares[extra.name] = extra.share
    scorers: dict[str, Scorer] = {}
    total, done = sum(shares.values()), 0.0
    for name, own in shares.items():
        share = own / total
        scorers[name] = fits[name](_part(progress, done, share))
        done += share
        progress(done)
    return FirstStage({**scorers, **content}, popularity(interactions))


def _fit_factors(interactions: Interactions, options: FitOptions, progress: Callable[[float], None]) -> FactoredScorer:
    if interactions.item_count > options.large.dense_items:
        return fit_sampled_factors(interactions, options.factors, options.large, options.seed, progress)
    return fit_factors(interactions, options.factors, options.seed, progress)


def _part(progress: Callable[[float], None], before: float, share: float) -> Callable[[float], None]:
    """Returns the callback of a fit that takes a share of the whole."""
    return lambda done: progress(before + share * done)


def popularity(interactions: Interactions) -> Floats:
    """float32[N]: log(1 + number of events), standardised over the catalogue; zeros when all items are alike."""
    counts = np.log1p(np.bincount(interactions.items, minlength=interactions.item_count))
    deviation = counts.std()
    if deviation == 0:
        return np.zeros(interactions.item_count, np.float32)
    return np.asarray((counts - counts.mean()) / deviation, np.float32)
