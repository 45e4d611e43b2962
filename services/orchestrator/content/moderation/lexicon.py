"""The words that disguises are read with: which are known, which offend."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).parent / "words.json.gz"
_ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ers", "ly", "ish", "like")
_VOWELS = frozenset("aeiou")
# Shorter words hide in too many harmless ones.
_SHORTEST = 4


@dataclass(frozen=True)
class Lexicon:
    """Known harmless words, offensive words, and the offensive ones by length and by consonants.

    Attributes:
        known: words in lower case that are no disguise of another.
        offensive: words in lower case that people disguise.
        by_length: the offensive ones of each length.
        by_start: the offensive ones by their first letter and length.
        by_consonants: the offensive ones by their first letter and the consonants after it.
    """

    known: frozenset[str]
    offensive: frozenset[str]
    by_length: Mapping[int, tuple[str, ...]]
    by_start: Mapping[tuple[str, int], tuple[str, ...]]
    by_consonants: Mapping[str, tuple[str, ...]]

    @property
    def longest(self) -> int:
        """Letters of the longest offensive word."""
        return max(self.by_length)

    def knows(self, word: str) -> bool:
        """Return whether a word, or what is left without a common ending, is harmless and known."""
        if word in self.known:
            return True
        if word in self.offensive or not word.isalpha():
            return False
        return any(word.endswith(ending) and word[: -len(ending)] in self.known for ending in _ENDINGS)

    def parts(self, word: str) -> Iterator[tuple[str, str]]:
        """Yield (offensive start or end of a word, the rest of it), longest first."""
        for length in range(min(len(word) - 1, self.longest), _SHORTEST - 1, -1):
            for part, rest in ((word[:length], word[length:]), (word[-length:], word[:-length])):
                if part in self.offensive:
                    yield part, rest


def consonants(word: str) -> str:
    """Return the first letter and the consonants after it."""
    return word[:1] + "".join(letter for letter in word[1:] if letter not in _VOWELS)


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the packaged list, once."""
    content = json.loads(gzip.decompress(_FILE.read_bytes()))
    offensive = frozenset(content["offensive"])
    lengths: dict[int, list[str]] = defaultdict(list)
    starts: dict[tuple[str, int], list[str]] = defaultdict(list)
    skeletons: dict[str, list[str]] = defaultdict(list)
    for word in sorted(offensive):
        lengths[len(word)].append(word)
        starts[word[0], len(word)].append(word)
        skeletons[consonants(word)].append(word)
    return Lexicon(
        frozenset(content["known"]),
        offensive,
        {length: tuple(words) for length, words in lengths.items()},
        {start: tuple(words) for start, words in starts.items()},
        {skeleton: tuple(words) for skeleton, words in skeletons.items()},
    )
