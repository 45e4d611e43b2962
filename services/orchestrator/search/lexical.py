"""Finds items by words: each word of a query with the known words that it may stand for, scored by BM25F.

A word counts once for an item, by the best of what it may stand for; a slip and a beginning count for less than the
word itself, and all of them have the rarity of the most frequent one, so that a rare misspelling gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from services.orchestrator.catalog.snapshot import Floats
from services.orchestrator.search.index import LexicalIndex
from services.orchestrator.search.words import Word, query_words

MOST_WORDS = 32
EXACT, BEGINNING, SLIP = "exact", "beginning", "slip"
_BEGINNING_WEIGHT = 0.85
_SLIP_WEIGHTS = {1: 0.8, 2: 0.6}
_SLIP_OF_KNOWN = 0.4
"""Factor for slips of a word that is known as written: it may be meant, but probably is not."""
_COVERAGE_POWER = 1.0
"""How strongly items that answer few of the words sink."""
_SHORTEST_BEGINNING = 2
_SHORTEST_PART = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A known word that one of the query may stand for.

    Attributes:
        word: as the index has it.
        kind: exact, beginning or slip.
        weight: how much it counts, 0 to 1.
    """

    word: str
    kind: str
    weight: float


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A word of the query.

    Attributes:
        word: with its place in the query.
        variants: known words that it may stand for, the best first; empty when nothing is near.
        rarity: the inverse document frequency of BM25, of the most frequent variant.
        known: whether some item has it as written.
    """

    word: Word
    variants: tuple[Variant, ...]
    rarity: float
    known: bool


@dataclass(frozen=True)
class LexicalMatches:
    """What a query finds by words.

    Attributes:
        words: of the query.
        scores: float32[N], 0 to 1 over the snapshot: the share of all the query's rarity that an item answers.
        coverage: float32[N], 0 to 1: the share of the query's rarity that an item has any word for.
    """

    words: tuple[AskedWord, ...]
    scores: Floats
    coverage: Floats

    def corrected(self, query: str) -> str:
        """Return the query with its unknown words replaced by the nearest known; empty when none is replaced."""
        text, changed = query, False
        for asked in reversed(self.words):
            best = next((one for one in asked.variants if one.kind == SLIP), None)
            if not asked.known and best is not None and asked.variants[0].kind == SLIP:
                text = text[: asked.word.start] + best.word + text[asked.word.end :]
                changed = True
        return text if changed else ""


def match(index: LexicalIndex, query: str, *, complete_last: bool = True) -> LexicalMatches:
    """Find items by the words of a query.

    Args:
        index: the words of N items.
        query: what was typed.
        complete_last: whether its last word may be the beginning of another, unless a space follows.
    """
    words = query_words(query)[:MOST_WORDS]
    count = len(index.snapshot)
    open_end = complete_last and bool(words) and words[-1].end == len(query.rstrip("\n"))
    words = [part for word in words for part in _parts(index, word)]
    distinct = _unique(words)
    compounds = _compounds(index, words)
    asked = tuple(
        _asked(index, word, compounds.get(word.text, ()), may_go_on=open_end and number == len(distinct) - 1)
        for number, word in enumerate(distinct)
    )
    scores, coverage = np.zeros(count, np.float32), np.zeros(count, np.float32)
    whole = sum(one.rarity for one in asked) or 1.0
    for one in asked:
        answered = np.zeros(count, np.float32)
        for variant in one.variants:
            for rows, weights in index.entries(variant.word):
                answered[rows] = np.maximum(answered[rows], variant.weight * weights)
        scores += one.rarity * answered
        coverage += np.float32(one.rarity) * (answered > 0)
    coverage = np.minimum(coverage / np.float32(whole), 1)
    scores = np.minimum(scores / np.float32(whole), 1) * coverage**_COVERAGE_POWER
    return LexicalMatches(asked, scores, coverage)


def _unique(words: Sequence[Word]) -> list[Word]:
    """Return each word once; the last place of a repeated one, since the last word may be a beginning."""
    last = {word.text: word for word in words}
    return sorted(last.values(), key=lambda word: word.start)


def _asked(index: LexicalIndex, word: Word, compounds: Sequence[str], *, may_go_on: bool) -> AskedWord:
    known = index.frequency(word.text) > 0
    variants = [Variant(word.text, EXACT, 1.0)] if known else []
    variants += [Variant(compound, BEGINNING, _BEGINNING_WEIGHT) for compound in compounds]
    if may_go_on and len(word.text) >= _SHORTEST_BEGINNING:
        variants += [Variant(other, BEGINNING, _BEGINNING_WEIGHT) for other in index.beginning_with(word.text)]
    begun = {variant.word for variant in variants}
    factor = _SLIP_OF_KNOWN if known else 1.0
    variants += [
        Variant(near.word, SLIP, factor * _SLIP_WEIGHTS[near.slips])
        for near in index.near(word.text)
        if near.word not in begun
    ]
    return AskedWord(word, tuple(variants), _rarity(index, variants, word.text), known)


def _compounds(index: LexicalIndex, words: Sequence[Word]) -> dict[str, list[str]]:
    """Return for each word the known words that it makes with a neighbour: "spider man" finds "Spiderman"."""
    found: dict[str, list[str]] = {}
    for first, second in pairwise(words):
        text = first.text + second.text
        if first.text.isalpha() and second.text.isalpha() and second.start > first.end and index.frequency(text):
            for one in (first, second):
                found.setdefault(one.text, []).append(text)
    return found


def _parts(index: LexicalIndex, word: Word) -> list[Word]:
    """Return an unknown word as the two known ones that some item has both of: "starwars" finds "Star Wars"."""
    text = word.text
    if not text.isalpha() or word.end - word.start != len(text) or index.frequency(text):
        return [word]
    for place in range(_SHORTEST_PART, len(text) - _SHORTEST_PART + 1):
        first, second = text[:place], text[place:]
        if index.frequency(first) and index.frequency(second) and _share_an_item(index, first, second):
            middle = word.start + place
            return [Word(first, word.start, middle), Word(second, middle, word.end)]
    return [word]


def _share_an_item(index: LexicalIndex, first: str, second: str) -> bool:
    holders = [{row for rows, _ in index.entries(term) for row in rows.tolist()} for term in (first, second)]
    return not holders[0].isdisjoint(holders[1])


def _rarity(index: LexicalIndex, variants: Sequence[Variant], text: str) -> float:
    """Return BM25's inverse document frequency, always above zero, of the word or what stands for it best."""
    count = max(1, len(index.snapshot))
    exact = index.frequency(text)
    held = exact or max((index.frequency(variant.word) for variant in variants), default=0)
    held = min(held, count)
    return float(np.log1p((count - held + 0.5) / (held + 0.5)))
