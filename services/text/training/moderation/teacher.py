"""What is toxic, said by published sources: an SVM trained on 200,000 human-labelled comments, and a tagged word list.

No human-labelled set of toxicity categories is carried by a package, so the categories are weak labels (Ratner et al.
2017, "Snorkel"): the SVM says how toxic, the word list and patterns say in which way.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from services.runtime.sources import fetch_package_file
from services.text.training.moderation.word_list import WordList, load_word_list

PACKAGE = ("alt-profanity-check", "1.9.1")
MODEL = ("profanity_check/data/model.joblib", "aeafc04849d4d93db4721cf30a86ebf22085595294b8a07d51918e7fa98f538b")
VECTORISER = (
    "profanity_check/data/vectorizer.joblib",
    "19c5200dc6a41f026e0558e2f164f5fe8d8f58e502b46b37e4385037fcfa4831",
)
CATEGORIES = ("toxic", "profanity", "insult", "sexual", "identity_attack", "threat")
# Weight of a word in the SVM, times its inverse document frequency, from which it is worth hiding.
OFFENSIVE_WEIGHT = 15.0

_WORD = re.compile(r"\b\w\w+\b")
_PERSON = re.compile(
    r"\b(you|u|ur|your|youre|yourself|he|she|they|him|her|his|them|their|guy|people|op)\b", re.IGNORECASE
)
_THREAT = re.compile(
    r"\b(?:(?:i|we|ill|i'll|gonna|going to|will|let's|should|deserves? to|hope (?:you|he|she|they))\s+(?:\w+\s+){0,2}?"
    r"(?:kill|shoot|stab|murder|beat|punch|hang|burn|strangle|rape|hunt|slap|smash|die|be shot|be killed)"
    r"|(?:kill|shoot|stab|murder|strangle|hang|punch)\s+(?:you|him|her|them|these|those|yourself|ur\s*self))\b",
    re.IGNORECASE,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SvmParts:
    """The SVM in numbers: one weight and one idf a word, and the five calibrated halves that are averaged."""

    words: dict[str, int]
    idf: Floats
    stop_words: frozenset[str]
    weights: Floats
    """float64 [5, words]"""
    intercepts: Floats
    slopes: Floats
    """`a` of each half's sigmoid 1 / (1 + exp(a * margin + b))."""
    offsets: Floats


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


class Teacher:
    """Says of clean text how toxic it is, in which ways, and which words make it so."""

    def __init__(self, svm: SvmParts | None = None, words: WordList | None = None) -> None:
        self._svm = svm or load_svm()
        self.words = words or load_word_list()

    @cached_property
    def _word_weights(self) -> Floats:
        weights: Floats = (self._svm.weights.mean(axis=0) * self._svm.idf).astype(np.float64)
        return weights

    def probability(self, text: str) -> float:
        """Return the SVM's probability that the text is offensive, 0 to 1."""
        svm = self._svm
        counts: dict[int, int] = {}
        for word in _WORD.findall(text.lower()):
            if word not in svm.stop_words and (row := svm.words.get(word)) is not None:
                counts[row] = counts.get(row, 0) + 1
        rows = list(counts)
        values = np.array([counts[row] * svm.idf[row] for row in rows])
        values = values / max(float(np.sqrt((values**2).sum())), 1e-12)
        margins = svm.weights[:, rows] @ values + svm.intercepts
        return float((1 / (1 + np.exp(svm.slopes * margins + svm.offsets))).mean())

    def offensive_words(self, text: str) -> frozenset[str]:
        """Return the words, in lower case, that make the text offensive."""
        words = {word for word in _WORD.findall(text.lower()) if len(word) > 2}
        heavy = {word for word in words if self.weight(word) >= OFFENSIVE_WEIGHT}
        return frozenset(heavy | self.words.severe_words(text))

    def weight(self, word: str) -> float:
        """Return the SVM's weight of a word times its idf; 0 for a word it does not know."""
        row = self._svm.words.get(word)
        return 0.0 if row is None or word in self._svm.stop_words else float(self._word_weights[row])

    def categories(self, text: str) -> Floats:
        """Return the target of each of `CATEGORIES`, 0 to 1."""
        toxic = self.probability(text)
        tags = self.words.tags(text)
        threat = bool(_THREAT.search(text)) and toxic >= 0.25
        profane = toxic >= 0.5 and bool(tags & {"general", "shock", "sexual"})
        sexual = toxic >= 0.5 and "sexual" in tags
        identity = toxic >= 0.5 and bool(tags & {"racial", "lgbtq", "religious"})
        insult = toxic >= 0.7 and bool(_PERSON.search(text))
        return np.array([max(toxic, 0.9 * threat), profane, insult, sexual, identity, threat], np.float64)


def offensive(teacher: Teacher, texts: Sequence[str], least: float) -> list[str]:
    """Return the texts that the SVM calls offensive with at least that probability, and that name why."""
    return [text for text in texts if teacher.offensive_words(text) and teacher.probability(text) >= least]
