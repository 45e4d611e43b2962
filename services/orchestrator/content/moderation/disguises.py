"""Reads disguised words: which offensive word a token that is no known word stands for.

Each reading inverts one habit of people who write past filters; a token that is a known word is never read as another,
so that harmless look-alikes pass. The work a token takes is bounded, because whoever sends a message chooses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product

from rapidfuzz.distance import OSA

from services.orchestrator.content.moderation.lexicon import Lexicon, consonants

_LEET = {
    "0": "o", "1": "il", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "|": "il", "+": "t", "(": "c", "<": "c", "€": "e", "£": "l", "¢": "c",
}  # fmt: skip
_SEPARATOR = re.compile(r"[\W_]+")
_AROUND = ".,;:!?\"'()[]{}\u2018\u2019\u201c\u201d"
_ENDING = re.compile(r"(?<=[a-z])['\u2019](?:ll|re|ve|s|d|m|t)(?=\W*$)")
# "as-hole" may be a disguise.
_SHORTEST_PART = 3
_JOINT = re.compile(r"[-/.,:;&'\u2019]+")
_MARK = re.compile(r"[*#%^~]")
_MOST_READINGS = 64
# Of a longer token fewer readings are tried; offensive words have 16 letters at most.
_LONG, _MOST_READINGS_OF_LONG = 24, 8
_MOST_RUNS = 8
LONGEST_TOKEN = 64
"""Longer ones are read in pieces."""


def read_disguise(token: str, lexicon: Lexicon) -> str | None:
    """Return the offensive word that a token in lower case, without white space, stands for, or None.

    Args:
        token: at most `LONGEST_TOKEN` characters.
        lexicon: the words to read it with.
    """
    bare = bare_word(token)
    if len(token) < 2 or token in lexicon.known or lexicon.knows(bare) or _is_compound(bare, lexicon):
        return None
    readings = [token, bare, *_letters(_ENDING.sub("", token))]
    exact = next((letters for letters in readings if letters in lexicon.offensive), None) or _censored(bare, lexicon)
    if exact:
        return exact
    for letters in readings[2:]:
        if lexicon.knows(letters):
            return None
        found = _read_letters(letters, lexicon, disguised=letters != bare)
        if found:
            return found
    return None


def bare_word(token: str) -> str:
    """Return a token in lower case without the signs around it and without an ending such as that of "he'll"."""
    return _ENDING.sub("", token.strip(_AROUND))


def _is_compound(word: str, lexicon: Lexicon) -> bool:
    """Return whether a word is plain words with signs between: nothing of "blow-up" and "fork/spoon" is disguised."""
    parts = _JOINT.split(word)
    if len(parts) < 2 or not all(part in lexicon.offensive or lexicon.knows(part) for part in parts):
        return False
    return any(part in lexicon.offensive for part in parts) or min(map(len, parts)) >= _SHORTEST_PART


def _letters(token: str) -> Iterator[str]:
    """Yield the token as letters only: separators out, digits and signs as the letters they look like."""
    joined = _SEPARATOR.sub("", token)
    if joined.isalpha():
        yield joined
    if any(character.isalpha() for character in token) and not token.isalpha():
        choices = [_LEET.get(character, character if character.isalpha() else "") or [""] for character in token]
        for number, reading in enumerate(product(*choices)):
            if number >= (_MOST_READINGS if len(token) <= _LONG else _MOST_READINGS_OF_LONG):
                return
            word = "".join(reading)
            if word != joined and len(word) > 1:
                yield word


def _read_letters(word: str, lexicon: Lexicon, *, disguised: bool) -> str | None:
    if word in lexicon.offensive:
        return word
    for shorter in _without_repeats(word):
        if lexicon.knows(shorter):
            return None
        if shorter in lexicon.offensive:
            return shorter
    if len(word) > 3 and word[::-1] in lexicon.offensive:
        return word[::-1]
    skeleton = consonants(word)
    if skeleton == word and len(word) >= 3 and (found := lexicon.by_consonants.get(skeleton)):
        return found[0]
    near = _near(word, lexicon)
    if near:
        return near
    for part, rest in lexicon.parts(word):
        if rest in lexicon.known or rest in lexicon.offensive or len(rest) <= (3 if disguised else 1):
            return part
    return None


def _without_repeats(word: str) -> Iterator[str]:
    """Yield the word with each run of one letter as two, then as one."""
    twice = re.sub(r"(.)\1{2,}", r"\1\1", word)
    once = re.sub(r"(.)\1+", r"\1", word)
    for shorter in (twice, once):
        if shorter != word:
            yield shorter
    # One run may be meant ("assshole"), another not.
    for match in islice(re.finditer(r"(.)\1+", word), _MOST_RUNS):
        yield word[: match.start()] + match.group(1) + word[match.end() :]
        yield (
            re.sub(r"(.)\1+", r"\1", word[: match.start()])
            + match.group(1) * 2
            + re.sub(r"(.)\1+", r"\1", word[match.end() :])
        )


def _censored(token: str, lexicon: Lexicon) -> str | None:
    """Return the offensive word behind marks for letters, as in f**k: no harmless word has a mark inside."""
    if len(token) < 4 or not _MARK.search(token[1:-1]) or not token[0].isalpha():
        return None
    pattern = re.compile(re.sub(r"\\?[*#%^~]", "[a-z]", re.escape(token)))
    return next((word for word in lexicon.by_length.get(len(token), ()) if pattern.fullmatch(word)), None)


def _near(word: str, lexicon: Lexicon) -> str | None:
    """Return an offensive word that is one slip away: two neighbours swapped, or in long words one letter changed."""
    if len(word) < 4:
        return None
    for length in (len(word), len(word) + 1, len(word) - 1):
        for other in lexicon.by_start.get((word[0], length), ()):
            if len(other) < 4:
                continue
            swapped = length == len(word) and sorted(other) == sorted(word)
            if (swapped or min(len(other), len(word)) >= 6) and OSA.distance(word, other, score_cutoff=1) <= 1:
                return other
    return None
