"""All words of a segment: which begin like one, and which are a slip or two away.

Words that cannot be near are left out by one comparison of two integers each: an edit changes the set of a word's
letters by two at most. What is left is measured with transpositions as one slip (optimal string alignment).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import OSA

MOST_BEGINNINGS = 64
_ONE_SLIP, _TWO_SLIPS = 4, 8
_MEASURED = 2_000
"""Words that are measured at most for one of a query: a few milliseconds, whatever the catalogue."""


@dataclass(frozen=True, slots=True)
class Near:
    """A known word and how many slips it is away."""

    word: str
    slips: int


class Vocabulary:
    """The words of a segment with the number of items that hold each."""

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        self._words = sorted(frequencies)
        self._frequencies = np.fromiter(map(frequencies.__getitem__, self._words), np.int64, count=len(self._words))
        self._letters = np.fromiter(map(_letters, self._words), np.uint64, count=len(self._words))
        self._lengths = np.fromiter(map(len, self._words), np.int32, count=len(self._words))

    def __len__(self) -> int:
        return len(self._words)

    def beginning_with(self, start: str, most: int = MOST_BEGINNINGS) -> list[str]:
        """Return the words that begin like this and are longer, the most frequent first."""
        first, last = bisect_left(self._words, start), bisect_left(self._words, start + _LAST)
        if first < last and self._words[first] == start:
            first += 1
        order = np.argsort(-self._frequencies[first:last], kind="stable")[:most]
        return [self._words[first + place] for place in order.tolist()]

    def near(self, word: str) -> list[Near]:
        """Return the words that typing errors lead to, as many as `slips_allowed`."""
        slips = slips_allowed(word)
        if not slips or not self._words:
            return []
        near = np.abs(self._lengths - np.int32(len(word))) <= slips
        near &= np.bitwise_count(self._letters ^ np.uint64(_letters(word))) <= 2 * slips
        places = np.flatnonzero(near)
        if len(places) > _MEASURED:
            places = places[np.argsort(-self._frequencies[places], kind="stable")[:_MEASURED]]
        found = []
        for place in places.tolist():
            other = self._words[place]
            distance = OSA.distance(word, other, score_cutoff=slips)
            if 0 < distance <= slips and not other.isdigit():
                found.append(Near(other, distance))
        return found


def slips_allowed(word: str) -> int:
    """Return how many typing errors a word may hold: none below 4 letters or with a digit, two from 8."""
    if any(character.isdigit() for character in word) or not word.isalpha():
        return 0
    return 0 if len(word) < _ONE_SLIP else 1 if len(word) < _TWO_SLIPS else 2


def _letters(word: str) -> int:
    """Return the set of a word's characters as 64 bits."""
    bits = 0
    for character in word:
        bits |= 1 << (ord(character) & 63)
    return bits


_LAST = "\U0010ffff"
