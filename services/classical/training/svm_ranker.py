"""A support vector machine as ranker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.svm import LinearSVC

from services.classical.training.candidate_lists import CandidateLists
from services.classical.training.linear_ranker import LinearRanker, calibrate
from services.classical.training.options import RankerOptions

_PAIRS_A_LIST = 5
_PENALTY = 1e-3


def fit_svm_ranker(lists: CandidateLists, options: RankerOptions, seed: int) -> LinearRanker | None:
    """Fits a ranking SVM: the next item must be ahead of others of its list by a margin; None without such a list.

    T. Joachims, "Optimizing search engines using clickthrough data", KDD 2002: a linear SVM over differences of
    features. Being linear, it is served and explained like the default ranker.
    """
    usable = np.flatnonzero((lists.targets >= 0) & (np.diff(lists.offsets) > 1))
    if not len(usable):
        return None
    random = np.random.default_rng([seed, 5])
    most = max(1, options.most_tree_rows // (2 * _PAIRS_A_LIST))
    if len(usable) > most:
        usable = np.sort(random.choice(usable, most, replace=False))
    means = lists.features.mean(axis=0)
    scales = lists.features.std(axis=0)
    scales = np.where(scales > 1e-6, scales, 1.0)
    differences = []
    for number in usable:
        target, start, end = lists.targets[number], lists.offsets[number], lists.offsets[number + 1]
        others = random.integers(start, end - 1, _PAIRS_A_LIST)
        others += others >= target
        differences.append((lists.features[target] - lists.features[others]) / scales)
    ahead = np.concatenate(differences)
    pairs = np.concatenate([ahead, -ahead])
    marks = np.repeat([1, 0], len(ahead))
    model = LinearSVC(C=_PENALTY, fit_intercept=False, dual=False, random_state=seed).fit(pairs, marks)
    coefficients = model.coef_[0]
    slope, intercept = calibrate(lists, ((lists.features - means) / scales).astype(np.float64) @ coefficients, options)
    ranker = LinearRanker(
        names=lists.names,
        means=np.asarray(means, np.float32),
        scales=np.asarray(scales, np.float32),
        coefficients=np.asarray(slope * coefficients, np.float32),
        intercept=intercept,
        lists=len(usable),
    )
    return replace(ranker, name="svm", algorithm="ranking SVM over pairs of candidates")
