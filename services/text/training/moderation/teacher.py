"""What is toxic, said by published sources: an SVM trained on 200,000 human-labelled comments, and a tagged word list.

No human-labelled set of toxicity categories is carried by a package, so the categories are weak labels (Ratner et al.
2017, "Snorkel"): the SVM says how toxic, the word list and patterns say in which way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.runtime.training.comment_svm import WORD, SvmParts, load_svm, word_values
from services.text.training.moderation.word_list import WordList, load_word_list

CATEGORIES = ("toxic", "profanity", "insult", "sexual", "identity_attack", "threat")
# Weight of a word in the SVM, times its inverse document frequency, from which it is worth hiding.
OFFENSIVE_WEIGHT = 15.0

_PERSON = re.compile(
    r"\b(you|u|ur|your|youre|yourself|he|she|they|him|her|his|them|their|guy|people|op)\b",  # codespell:ignore youre
    re.IGNORECASE,
)
_THREAT = re.compile(
    r"\b(?:(?:i|we|ill|i'll|gonna|going to|will|let's|should|deserves? to|hope (?:you|he|she|they))\s+(?:\w+\s+){0,2}?"
    r"(?:kill|shoot|stab|murder|beat|punch|hang|burn|strangle|rape|hunt|slap|smash|die|be shot|be killed)"
    r"|(?:kill|shoot|stab|murder|strangle|hang|punch)\s+(?:you|him|her|them|these|those|yourself|ur\s*self))\b",
    re.IGNORECASE,
)

Floats = NDArray[np.float64]


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
        values = word_values(svm.words, svm.idf, svm.stop_words, WORD.findall(text.lower()))
        margins = svm.weights[:, list(values)] @ np.array(list(values.values())) + svm.intercepts
        return float((1 / (1 + np.exp(svm.slopes * margins + svm.offsets))).mean())

    def offensive_words(self, text: str) -> frozenset[str]:
        """Return the words, in lower case, that make the text offensive."""
        words = {word for word in WORD.findall(text.lower()) if len(word) > 2}
        heavy = {word for word in words if self.weight(word) >= OFFENSIVE_WEIGHT}
        return frozenset(heavy | self.words.severe_words(text))

    def heavy_words(self) -> set[str]:
        """Return all words that the SVM alone finds worth hiding."""
        return {word for word in self._svm.words if len(word) > 2 and self.weight(word) >= OFFENSIVE_WEIGHT}

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
