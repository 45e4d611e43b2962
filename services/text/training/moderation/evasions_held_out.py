"""The half of the disguises that only measures: no filter is written or fitted with it. The draw is in `evasion`."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from services.text.training.moderation.evasion import Transform

_CYRILLIC = {"a": "\u0430", "c": "\u0441", "e": "\u0435", "i": "\u0456", "k": "\u043a", "o": "\u043e", "p": "\u0440",
             "s": "\u0455", "t": "\u0442", "x": "\u0445", "y": "\u0443", "h": "\u04bb", "b": "\u0432", "n": "\u043f",
             "u": "\u03c5", "m": "\u043c"}  # fmt: skip
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SYMBOLS = {"a": "@", "s": "$", "i": "!", "o": "()", "t": "+", "c": "(", "e": "\u20ac", "l": "|", "h": "#", "x": "%"}
_SOUNDS = (("ck", "k"), ("fuck", "phuck"), ("f", "ph"), ("s", "z"), ("c", "k"), ("er", "a"), ("i", "ee"), ("u", "oo"))
_UPSIDE_DOWN = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "\u0250q\u0254p\u01dd\u025f\u0183\u0265\u1d09\u027e\u029el\u026fuodb\u0279s\u0287n\u028c\u028dx\u028ez",
        strict=True,
    )
)
_MARKS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0323\u0331"


def diacritics(word: str, generator: random.Random) -> str:
    """Letters carry combining marks they never have."""
    return "".join(letter + generator.choice(_MARKS) for letter in word)


def dotted_letters(word: str, generator: random.Random) -> str:
    """f.u.c.k: one sign between all letters."""
    return generator.choice("._/|,").join(word)


def emoji_letters(word: str, generator: random.Random) -> str:
    """Letters of the flags, as reactions spell them, with a space so that they form no flag."""
    letters = [chr(0x1F1E6 + ord(letter) - 97) if "a" <= letter <= "z" else letter for letter in word.lower()]
    return " ".join(letters)


def enclosed_letters(word: str, generator: random.Random) -> str:
    """Letters in circles or squares."""
    start = generator.choice((0x24D0, 0x1F130, 0x1F150, 0x1F170))
    return "".join(chr(start + ord(letter) - 97) if "a" <= letter <= "z" else letter for letter in word.lower())


def homoglyphs_cyrillic(word: str, generator: random.Random) -> str:
    """Letters of other alphabets that look the same."""
    changed = "".join(_CYRILLIC.get(letter.lower(), letter) for letter in word)
    return changed if changed != word else word + "\u0455"


def keyboard_neighbours(word: str, generator: random.Random) -> str:
    """One inner letter is that of the key beside it."""
    place = generator.randrange(1, max(2, len(word) - 1))
    letter = word[place].lower()
    row = next((keys for keys in _KEYS if letter in keys), "")
    if not row:
        return word + "q"
    at = row.index(letter)
    beside = row[at + 1] if at + 1 < len(row) and (at == 0 or generator.random() < 0.5) else row[at - 1]
    return word[:place] + beside + word[place + 1 :]


def leet_symbols(word: str, generator: random.Random) -> str:
    """Signs that look like letters take their place."""
    changed = "".join(_SYMBOLS.get(letter.lower(), letter) for letter in word)
    return changed if changed != word else word + "$"


def phonetic_respelling(word: str, generator: random.Random) -> str:
    """phuk: another spelling of the same sound."""
    for pattern, sound in generator.sample(_SOUNDS, len(_SOUNDS)):
        changed = re.sub(pattern, sound, word, count=1, flags=re.IGNORECASE)
        if changed != word:
            return changed
    return word + "h"


def repeated_letters(word: str, generator: random.Random) -> str:
    """fuuuuck: one or two letters are drawn out."""
    places = generator.sample(range(len(word)), min(len(word), 2))
    return "".join(letter * (generator.randint(3, 6) if at in places else 1) for at, letter in enumerate(word))


def soft_hyphens(word: str, generator: random.Random) -> str:
    """Soft hyphens, which nobody sees, stand between the letters."""
    return "\u00ad".join(word)


def spaced_letters(word: str, generator: random.Random) -> str:
    """F u c k: a space or two between the letters."""
    return generator.choice((" ", "  ")).join(word)


def upside_down(word: str, generator: random.Random) -> str:
    """Letters that look like the word's, turned by half a circle, in reading order."""
    return "".join(_UPSIDE_DOWN.get(letter, letter) for letter in word.lower())


TRANSFORMS: Mapping[str, Transform] = {
    function.__name__: function
    for function in (
        diacritics,
        dotted_letters,
        emoji_letters,
        enclosed_letters,
        homoglyphs_cyrillic,
        keyboard_neighbours,
        leet_symbols,
        phonetic_respelling,
        repeated_letters,
        soft_hyphens,
        spaced_letters,
        upside_down,
    )
}
"""Disguises by name: (word of ASCII letters, generator) -> disguised word."""
