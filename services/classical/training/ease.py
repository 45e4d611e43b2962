"""EASE: an item-to-item ridge regression with a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from services.classical.training.dataset import Floats, Interactions
from services.classical.training.histories import decayed_histories, whole_histories
from services.classical.training.options import EaseOptions, LargeOptions
from services.classical.training.scorers import DenseScorer, SparseScorer

_BLOCK = 1024


def fit_ease(
    interactions: Interactions, options: EaseOptions, large: LargeOptions | None = None
) -> DenseScorer | SparseScorer:
    """Fits B minimising ‖X − XB‖² + λ‖B‖² with a zero diagonal, X being the decayed histories.

    H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. Recency decay of the input, when
    fitting and when scoring, is what makes a set model useful for the next item. Dislikes are left out of the fit;
    when scoring they count with their negative weight. For large catalogues the problem is solved among the most
    frequent items, and each keeps its strongest neighbours: what is rare has too little evidence for a ridge anyway.
    """
    histories = decayed_histories(interactions, whole_histories(interactions), options.fit_decay)
    histories.data = np.maximum(histories.data, 0)
    if large and interactions.item_count > large.dense_items:
        return _sparse(histories, options, large)
    # At the largest catalogue one matrix takes 1.6 GB, so everything from here on happens in place.
    return DenseScorer(_solve(histories, options.regularization), options.decay, options.window)


def _sparse(histories: Any, options: EaseOptions, large: LargeOptions) -> SparseScorer:
    frequent = np.argsort(-np.asarray(histories.sum(axis=0)).ravel(), kind="stable")[: large.solved_items]
    solved = _solve(histories[:, frequent], options.regularization)
    width = min(large.neighbours, len(frequent))
    best = np.argpartition(-np.abs(solved), width - 1, axis=1)[:, :width]
    neighbours = np.zeros((histories.shape[1], width), np.int32)
    strengths = np.zeros((histories.shape[1], width), np.float32)
    neighbours[frequent] = frequent[best]
    strengths[frequent] = np.take_along_axis(solved, best, axis=1)
    return SparseScorer(neighbours, strengths, options.decay, options.window)


def _solve(histories: Any, regularization: float) -> Floats:
    similarities = _inverse_of_gram(histories, regularization)
    similarities /= -np.diagonal(similarities).copy()
    np.fill_diagonal(similarities, 0.0)
    return similarities


def _inverse_of_gram(histories: Any, regularization: float) -> Floats:
    """(XᵀX + λI)⁻¹ by Cholesky in single precision: half the memory, and λ keeps the problem well conditioned."""
    gram = np.asfortranarray((histories.T @ histories).toarray(), np.float32)
    gram.flat[:: len(gram) + 1] += np.float32(regularization)
    factor, failed = scipy.linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
    if failed:
        raise ValueError("EASE cannot be fitted: raise its regularization")
    inverse, failed = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError("EASE cannot be fitted: raise its regularization")
    _mirror_lower_triangle(inverse)
    # The transpose of a symmetric matrix in column order is the same matrix in row order.
    return np.asarray(inverse.T, np.float32)


def _mirror_lower_triangle(matrix: Floats) -> None:
    for start in range(0, len(matrix), _BLOCK):
        stop = start + _BLOCK
        block = matrix[start:stop, start:stop]
        block[...] = np.tril(block) + np.tril(block, -1).T
        matrix[start:stop, stop:] = matrix[stop:, start:stop].T
