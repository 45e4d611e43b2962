"""Harmless words that could be mistaken for disguised ones, from a dictionary and from family names.

Sources: the 82,765 words of PyPI `symspellpy` 6.9.0 (MIT; Google Books n-grams that stand in SCOWL too) and the family
names of the United States' census of 1990, in PyPI `names` 0.3.0 (public domain).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from services.runtime.sources import fetch_package_file
from services.text.training.moderation.teacher import Teacher

# A name that at least this share of people bear, in percent.
_LEAST_SHARE = 0.001
_SHORTEST = 4
# Weight in the SVM from which a word still offends when it is a part of a longer one ("shitload").
_HEAVY = 30.0


def lookalikes(offensive: Collection[str], teacher: Teacher) -> set[str]:
    """Return the words and names that resemble an offensive word and neither are one nor hold one of the worst.

    Raises:
        SourceUnavailable: a package cannot be fetched.
    """
    words = frozenset(offensive)
    slips = {slip for word in words if len(word) >= _SHORTEST for slip in _shorter(word)}
    worst = [word for word in words if len(word) >= _SHORTEST and teacher.weight(word) >= _HEAVY]
    return {
        candidate
        for candidate in _candidates()
        if candidate not in words
        and resembles(candidate, words, slips)
        and not any(word in candidate for word in worst)
        and not teacher.words.any_entry.search(candidate)
    }


def resembles(candidate: str, words: frozenset[str], slips: Collection[str]) -> bool:
    """Return whether a word starts or ends with one of the words, or is one of them but for a slip or two.

    Args:
        candidate: a word in lower case.
        words: the words that it may resemble.
        slips: those without one letter each.
    """
    lengths = range(_SHORTEST, len(candidate))
    if any(candidate[:length] in words or candidate[-length:] in words for length in lengths):
        return True
    if candidate[::-1] in words or re.sub(r"(.)\1+", r"\1", candidate) in words:
        return True
    shorter = list(_shorter(candidate))
    return candidate in slips or any(word in words or word in slips for word in shorter)


def _shorter(word: str) -> Iterator[str]:
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]


def _candidates() -> set[str]:
    dictionary = fetch_package_file(
        "symspellpy",
        "6.9.0",
        "symspellpy/frequency_dictionary_en_82_765.txt",
        "68e9dc81c7e73bd7310b57e516ecaea0d8b6387ff71344a57c04174650a407a7",
    )
    names = fetch_package_file(
        "names", "0.3.0", "names/dist.all.last", "b0e2b3743ccbad641ca48b344c24cdebcd1d9a1f76dc6dbf05986f2919f0b4e1"
    )
    words = [line.split()[0] for line in dictionary.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    rows = [line.split() for line in names.read_text(encoding="ascii").splitlines()]
    words += [row[0].lower() for row in rows if float(row[1]) >= _LEAST_SHARE]
    return {word for word in words if word.isascii() and word.isalpha() and len(word) >= _SHORTEST}
