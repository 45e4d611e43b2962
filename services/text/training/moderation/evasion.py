"""How people disguise words so that filters miss them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection

Transform = Callable[[str, random.Random], str]

NAMES = (
    "alternating_case_dashes",
    "censor_stars",
    "diacritics",
    "dotted_letters",
    "doubled_letter",
    "dropped_vowels",
    "emoji_between",
    "emoji_letters",
    "enclosed_letters",
    "fullwidth",
    "homoglyphs_cyrillic",
    "keyboard_neighbours",
    "leet_letters",
    "leet_symbols",
    "mathematical_letters",
    "merged_words",
    "phonetic_respelling",
    "repeated_letters",
    "reversed_word",
    "soft_hyphens",
    "spaced_letters",
    "swapped_neighbours",
    "upside_down",
    "zero_width_characters",
)
"""All transforms; half of them, drawn with `SPLIT_SEED`, may be seen by whoever writes or fits a filter."""
SPLIT_SEED = 20261124


def seen_names() -> frozenset[str]:
    """Return the names of the half that may be seen."""
    return frozenset(random.Random(SPLIT_SEED).sample(NAMES, len(NAMES) // 2))


def evade(text: str, words: Collection[str], transform: Transform, generator: random.Random) -> str:
    """Return the text with each whole word that is in `words` (lower case) disguised."""

    def disguise(match: re.Match[str]) -> str:
        word = match.group()
        return transform(word, generator) if word.lower() in words else word

    return re.sub(r"\w+", disguise, text)
