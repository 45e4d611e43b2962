"""Factorisations that a library or a decomposition fits: iALS and item2vec."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from services.classical.training.dataset import Event, Interactions
from services.classical.training.histories import Positions, next_item_positions
from services.classical.training.ials import fit_ials
from services.classical.training.item2vec import fit_item2vec
from services.classical.training.options import IalsOptions, Item2vecOptions
from services.classical.training.scorers import FactoredScorer
from tests.unit.services.classical.training.conftest import ITEMS

Fit = Callable[[Interactions], FactoredScorer]
FITS: dict[str, Fit] = {
    "ials": lambda events: fit_ials(events, IalsOptions(dimensions=8, regularization=0.1), seed=1),
    "item2vec": lambda events: fit_item2vec(events, Item2vecOptions(dimensions=12, fit_window=2), seed=1),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())
class TestFactorization:
    def test_neighbours_on_the_circle_are_alike(self, fit: Fit, circle: Interactions) -> None:
        scorer = fit(circle)
        likeness = scorer.history_factors @ scorer.candidate_factors.T
        near = np.mean([likeness[item, (item + 1) % 20] for item in range(20)])
        far = np.mean([likeness[item, (item + 10) % 20] for item in range(20)])
        assert near > far + 0.5 * likeness.std()

    def test_the_same_seed_gives_the_same_factors(self, fit: Fit, circle: Interactions) -> None:
        first, second = fit(circle), fit(circle)
        np.testing.assert_array_equal(first.history_factors, second.history_factors)
        np.testing.assert_array_equal(first.candidate_factors, second.candidate_factors)

    def test_dislikes_alone_say_nothing(self, fit: Fit) -> None:
        events = [Event("ann", item, 1.0, weight=-1.0) for item in ITEMS[:5]]
        scorer = fit(Interactions.from_events(events, ITEMS))
        assert not (scorer.history_factors @ scorer.candidate_factors.T).any()

    def test_scores_are_finite(self, fit: Fit, circle: Interactions) -> None:
        positions: Positions = next_item_positions(circle)
        assert np.isfinite(fit(circle).score(circle, positions)).all()
