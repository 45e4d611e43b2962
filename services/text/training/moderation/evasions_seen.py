"""The half of the disguises that may be seen by whoever writes or fits a filter; the draw is in `evasion`."""

from __future__ import annotations

import random
from collections.abc import Mapping

from services.text.training.moderation.evasion import Transform

_LEET = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7", "b": "8", "g": "9", "z": "2"}
_EMOJI = "\U0001f525\U0001f602\U0001f480✨\U0001f921\U0001f44f"
_FILLERS = ("xx", "lol", "the", "my", "zz", "ur", "so", "yo")


def alternating_case_dashes(word: str, generator: random.Random) -> str:
    """F-u-C-k: letters alternate in case, joined by one kind of dash."""
    dash = generator.choice("-_~")
    return dash.join(letter.upper() if place % 2 == 0 else letter.lower() for place, letter in enumerate(word))


def censor_stars(word: str, generator: random.Random) -> str:
    """f**k: inner letters become stars, hashes or marks; the outer ones stay."""
    sign = generator.choice("**#%")
    count = 1 if len(word) <= 4 else generator.randint(1, 2)
    places = generator.sample(range(1, max(2, len(word) - 1)), min(count, max(1, len(word) - 2)))
    return "".join(sign if place in places else letter for place, letter in enumerate(word))


def doubled_letter(word: str, generator: random.Random) -> str:
    """fuuck: one or two letters are doubled."""
    places = generator.sample(range(len(word)), min(len(word), generator.randint(1, 2)))
    return "".join(letter * (2 if place in places else 1) for place, letter in enumerate(word))


def dropped_vowels(word: str, generator: random.Random) -> str:
    """fck: vowels after the first letter are left out, as in text messages."""
    short = word[0] + "".join(letter for letter in word[1:] if letter.lower() not in "aeiou")
    return short if len(short) < len(word) and len(short) > 1 else word[:-1]


def emoji_between(word: str, generator: random.Random) -> str:
    """An emoji stands between the letters."""
    sign = generator.choice(_EMOJI)
    return sign.join(word)


def fullwidth(word: str, generator: random.Random) -> str:
    """Letters of the fullwidth forms, as Japanese keyboards write them."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in word)


def leet_letters(word: str, generator: random.Random) -> str:
    """Digits that look like letters take their place, most of them."""
    places = [place for place, letter in enumerate(word) if letter.lower() in _LEET]
    kept = generator.choice(places) if len(places) > 2 else -1
    changed = "".join(
        _LEET.get(letter.lower(), letter) if place != kept else letter for place, letter in enumerate(word)
    )
    return changed if changed != word else word + "5"


def mathematical_letters(word: str, generator: random.Random) -> str:
    """Bold, italic or script letters of the mathematical block, as name decorators make them."""
    start = generator.choice((0x1D400, 0x1D468, 0x1D5D4, 0x1D63C, 0x1D670))
    return "".join(
        chr(start + (ord(letter) - 65 if letter.isupper() else ord(letter) - 97 + 26))
        if letter.isascii() and letter.isalpha()
        else letter
        for letter in word
    )


def merged_words(word: str, generator: random.Random) -> str:
    """The word is glued to a harmless one."""
    filler = generator.choice(_FILLERS)
    return filler + word if generator.random() < 0.5 else word + filler


def reversed_word(word: str, generator: random.Random) -> str:
    """The word backwards."""
    backwards = word[::-1]
    return backwards if backwards != word else word + word[0]


def swapped_neighbours(word: str, generator: random.Random) -> str:
    """fukcing: two inner neighbours change places."""
    places = [place for place in range(1, len(word) - 1) if word[place] != word[place + 1]] or [0]
    place = generator.choice(places)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def zero_width_characters(word: str, generator: random.Random) -> str:
    """Characters without width stand between the letters."""
    return "".join(letter + generator.choice("\u200b\u200c\u200d\u2060") for letter in word[:-1]) + word[-1]


TRANSFORMS: Mapping[str, Transform] = {
    function.__name__: function
    for function in (
        alternating_case_dashes,
        censor_stars,
        doubled_letter,
        dropped_vowels,
        emoji_between,
        fullwidth,
        leet_letters,
        mathematical_letters,
        merged_words,
        reversed_word,
        swapped_neighbours,
        zero_width_characters,
    )
}
"""Disguises by name: (word of ASCII letters, generator) -> disguised word."""
