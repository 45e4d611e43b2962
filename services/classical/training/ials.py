"""Matrix factorisation by alternating least squares on implicit feedback."""

from __future__ import annotations

import implicit.cpu.als
import numpy as np

from services.classical.training.dataset import Interactions
from services.classical.training.histories import decayed_histories, whole_histories
from services.classical.training.options import IalsOptions
from services.classical.training.scorers import FactoredScorer


def fit_ials(interactions: Interactions, options: IalsOptions, seed: int) -> FactoredScorer:
    """Fits item factors Y with `implicit`; a history is folded in by one matrix that fits the average user.

    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. There a user is
    u = (YᵀY + Yᵀ(Cᵘ − I)Y + λI)⁻¹ YᵀCᵘp, with another matrix to invert for each user. Here the middle term is the
    mean over users, so that u = Σ αⱼ qⱼ with fixed qⱼ: no inversion while serving, and contributions that add up.
    Dislikes are left out of the fit; when scoring they count with their negative weight.
    """
    histories = decayed_histories(interactions, whole_histories(interactions), options.fit_decay)
    histories.data = np.maximum(histories.data, 0)
    if not histories.data.any():
        nothing = np.zeros((interactions.item_count, 1), np.float32)
        return FactoredScorer(nothing, nothing, options.decay, options.window)
    model = implicit.cpu.als.AlternatingLeastSquares(
        factors=options.dimensions,
        regularization=options.regularization,
        alpha=options.confidence,
        iterations=options.iterations,
        num_threads=1,
        random_state=seed,
    )
    model.fit(histories, show_progress=False)
    factors = np.asarray(model.item_factors, np.float32)
    extra = options.confidence * np.asarray(histories.mean(axis=0)).ravel()
    gram = (factors.T * (1 + extra)) @ factors
    gram.flat[:: len(gram) + 1] += options.regularization
    history_factors = np.linalg.solve(gram.astype(np.float64), factors.T.astype(np.float64)).T
    return FactoredScorer(history_factors.astype(np.float32), factors, options.decay, options.window)
