"""item2vec: items as words, histories as sentences, in the closed form of that model."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from services.classical.training.dataset import Interactions
from services.classical.training.markov import ordered_pairs
from services.classical.training.options import Item2vecOptions
from services.classical.training.scorers import FactoredScorer


def fit_item2vec(interactions: Interactions, options: Item2vecOptions, seed: int) -> FactoredScorer:
    """Factorises the shifted positive pointwise mutual information of items that follow each other.

    O. Barkan, N. Koenigstein, "item2vec: Neural Item Embedding for Collaborative Filtering", MLSP 2016, is skip-gram
    with negative sampling over histories; O. Levy, Y. Goldberg, "Neural Word Embedding as Implicit Matrix
    Factorization", NIPS 2014, showed what that factorises, and that its singular value decomposition does as well and
    needs no sampling. Dislikes are left out.
    """
    pairs = ordered_pairs(interactions, options.fit_window, options.fit_decay)
    pairs = (pairs + pairs.T).tocoo()
    totals = np.maximum(np.asarray(pairs.sum(axis=0)).ravel(), 1e-9)
    # Contexts are smoothed as word2vec smooths its negative samples: rare ones would have the largest information.
    contexts = totals**options.smoothing
    contexts /= contexts.sum()
    information = np.log(pairs.data / (totals[pairs.row] * contexts[pairs.col])) - np.log(options.negatives)
    kept = (information > 0) & (pairs.row != pairs.col)
    matrix = scipy.sparse.csr_matrix(
        (information[kept], (pairs.row[kept], pairs.col[kept])), shape=pairs.shape, dtype=np.float64
    )
    count = interactions.item_count
    dimensions = min(options.dimensions, count - 1)
    if not matrix.nnz or dimensions < 1:
        nothing = np.zeros((count, 1), np.float32)
        return FactoredScorer(nothing, nothing, options.decay, options.window)
    start = np.random.default_rng(seed).standard_normal(count)
    left, values, right = scipy.sparse.linalg.svds(matrix, dimensions, v0=start)
    strength = values**options.value_exponent
    source = left * strength
    target = right.T * strength
    return FactoredScorer(source.astype(np.float32), target.astype(np.float32), options.decay, options.window)
