"""Words of a text as search compares them: small letters without accents, and where each stands in the original.

Compatibility decomposition (UAX 15) folds full-width and styled letters; combining marks, control and invisible
characters count as nothing. Scripts that write no spaces become pairs of characters, as is usual for them (and single
characters, so that one alone can be found); a symbol such as an emoji is a word of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_NOTHING = frozenset({"Mn", "Me", "Cf", "Cc", "Cs", "Co", "Cn"})
_APOSTROPHES = "'\u2019\u02bc\uff07"
_VOICED = "\u3099\u309a"  # marks that make another letter in Japanese
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text.

    Attributes:
        text: as it is compared.
        start, end: its place in the original, in code points, the end excluded.
    """

    text: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """Return the words of a text in their order.

    >>> [word.text for word in words_of("Amélie's Ｓpider-Man (2002)")]
    ['amelies', 'spider', 'man', '2002']
    """
    if text.isascii() and text.isprintable():
        return [
            Word(found.group().replace("'", ""), found.start(), found.end())
            for found in _ASCII_WORD.finditer(text.lower())
        ]
    return list(_words(text))


def terms_of(text: str) -> list[str]:
    """Return what an index keeps of a text: its words, and those that a hyphen joins also as one."""
    words = words_of(text)
    terms = [word.text for word in words]
    terms.extend(
        first.text + second.text
        for first, second in pairwise(words)
        if second.start == first.end + 1 and text[first.end] in "-\u2010\u2011"
    )
    return terms


def query_words(text: str) -> list[Word]:
    """Return the words that a query asks for: as `words_of`, but of scripts without spaces the pairs only."""
    words = words_of(text)
    paired = {place for word in words if _is_pair(word) for place in range(word.start, word.end)}
    return [word for word in words if not (len(word.text) == 1 and word.start in paired)]


def _is_pair(word: Word) -> bool:
    return len(word.text) == 2 and all(_SPACELESS.match(character) for character in word.text)


def _words(text: str) -> Iterator[Word]:
    letters: list[str] = []
    start = end = 0
    previous: tuple[str, int] | None = None  # the character before, where a script writes no spaces
    for index, character in enumerate(text):
        folded, kind = _folded(character)
        if kind == "nothing":
            continue
        if kind == "letter":
            if not letters:
                start = index
            letters.append(folded)
            end = index + 1
            previous = None
            continue
        if letters and not (kind == "apostrophe" and index + 1 < len(text) and _folded(text[index + 1])[1] == "letter"):
            yield Word("".join(letters), start, end)
            letters = []
        if kind == "alone":
            if previous is not None:
                yield Word(previous[0] + folded, previous[1], index + 1)
            yield Word(folded, index, index + 1)
            previous = folded, index
        else:
            previous = None
            if kind == "symbol":
                yield Word(folded, index, index + 1)
    if letters:
        yield Word("".join(letters), start, end)


@lru_cache(maxsize=16_384)
def _folded(character: str) -> tuple[str, str]:
    """Return a character as it is compared, and its kind: letter, alone (of a script without spaces), symbol,
    apostrophe, space or nothing.
    """
    category = unicodedata.category(character)
    if category in _NOTHING and not character.isspace():
        return "", "nothing"
    if character in _APOSTROPHES:
        return "", "apostrophe"
    decomposed = unicodedata.normalize("NFKD", character)
    kept = "".join(
        part for part in decomposed if part in _VOICED or unicodedata.category(part) not in ("Mn", "Me", "Cf")
    )
    folded = unicodedata.normalize("NFC", kept.casefold().translate(_LETTERS))
    if _SPACELESS.match(folded):
        return folded, "alone"
    if folded and all(unicodedata.category(part)[0] in "LNM" for part in folded):
        return folded, "letter"
    if unicodedata.category(character) == "So":
        return character, "symbol"
    return "", "space"
