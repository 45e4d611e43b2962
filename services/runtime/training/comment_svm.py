"""The published linear support vector machine over words, fitted on 200,000 human-labelled comments (MIT)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from services.runtime.sources import fetch_package_file

PACKAGE = ("alt-profanity-check", "1.9.1")
MODEL = ("profanity_check/data/model.joblib", "aeafc04849d4d93db4721cf30a86ebf22085595294b8a07d51918e7fa98f538b")
VECTORISER = (
    "profanity_check/data/vectorizer.joblib",
    "19c5200dc6a41f026e0558e2f164f5fe8d8f58e502b46b37e4385037fcfa4831",
)
WORD = re.compile(r"\b\w\w+\b")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SvmParts:
    """The SVM in numbers: one weight and one idf a word, and the five calibrated halves that are averaged."""

    words: dict[str, int]
    """Row of each word."""
    idf: Floats
    stop_words: frozenset[str]
    weights: Floats
    """float64 [5, words]"""
    intercepts: Floats
    slopes: Floats
    """`a` of each half's sigmoid 1 / (1 + exp(a * margin + b))."""
    offsets: Floats


def word_values(words: Mapping[str, int], idf: Floats, stop_words: Set[str], found: Sequence[str]) -> dict[int, float]:
    """Return the tf-idf of the known words of one text by row, of length one together."""
    counts: dict[int, int] = {}
    for word in found:
        if word not in stop_words and (row := words.get(word)) is not None:
            counts[row] = counts.get(row, 0) + 1
    values = {row: count * float(idf[row]) for row, count in counts.items()}
    length = max(sum(value**2 for value in values.values()) ** 0.5, 1e-12)
    return {row: value / length for row, value in values.items()}


def load_svm() -> SvmParts:
    """Return the published SVM.

    Raises:
        SourceUnavailable: the package cannot be fetched.
    """
    with warnings.catch_warnings():
        # It was pickled by another version of scikit-learn; the parts read here have not changed.
        warnings.simplefilter("ignore")
        vectoriser: Any = joblib.load(fetch_package_file(*PACKAGE, *VECTORISER))
        model: Any = joblib.load(fetch_package_file(*PACKAGE, *MODEL))
    halves = model.calibrated_classifiers_
    return SvmParts(
        {word: int(row) for word, row in vectoriser.vocabulary_.items()},
        np.asarray(vectoriser.idf_, np.float64),
        frozenset(vectoriser.get_stop_words()),
        np.stack([half.estimator.coef_[0] for half in halves]),
        np.array([half.estimator.intercept_[0] for half in halves]),
        np.array([half.calibrators[0].a_ for half in halves]),
        np.array([half.calibrators[0].b_ for half in halves]),
    )
