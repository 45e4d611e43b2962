"""Characters that look like Latin letters, as those letters; characters that cannot be seen, as nothing.

By Unicode's own tables: compatibility decomposition (UAX 15), default-ignorable and combining characters, and the
confusables of UTS 39, through the `confusable_homoglyphs` package, which carries that table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from confusable_homoglyphs import confusables

_OVERRIDE = "\u202e"
_OVERRIDDEN = re.compile("\u202e[^\u202c\n\u2029]*")
_INVISIBLE = frozenset({"Cf", "Mn", "Me", "Cc"})
_FIRST_REGIONAL, _LAST_REGIONAL = 0x1F1E6, 0x1F1FF


@dataclass(frozen=True)
class PlainText:
    """A text with plain characters, and which character of the original each came from.

    Attributes:
        text: the plain text.
        places: for each of its characters, the index of the original character.
        changed: whether anything was written differently.
    """

    text: str
    places: tuple[int, ...]
    changed: bool


def plain_characters(text: str) -> PlainText:
    """Return the text in plain characters; a word that is wholly of another script stays as it is."""
    if text.isascii() and text.isprintable():
        return PlainText(text, tuple(range(len(text))), changed=False)
    written: list[str] = []
    places: list[int] = []
    latin = _has_latin(text)
    for index in _reading_order(text):
        character = text[index]
        for plain in _plain(character) if latin or not character.isalpha() or _styled(character) else character:
            written.append(plain)
            places.append(index)
    result = "".join(written)
    return PlainText(result, tuple(places), changed=result != text)


def _reading_order(text: str) -> Iterable[int]:
    """Return the places of the characters as they are seen: what a right-to-left override covers is seen backwards.

    The override ends with its paragraph or with a pop (UAX 9, X4 to X8; others inside it are not looked at).
    """
    if _OVERRIDE not in text:
        return range(len(text))
    order: list[int] = []
    at = 0
    for match in _OVERRIDDEN.finditer(text):
        order.extend(range(at, match.start()))
        order.extend(reversed(range(match.start(), match.end())))
        at = match.end()
    order.extend(range(at, len(text)))
    return order


def _has_latin(text: str) -> bool:
    """Return whether Latin letters are at least a third of the letters: else the text is of another language."""
    letters = [character for character in text if character.isalpha()]
    return 3 * sum(1 for character in letters if "LATIN" in _name(character) or _styled(character)) >= len(letters)


@lru_cache(maxsize=4096)
def _styled(character: str) -> bool:
    """Return whether it is a Latin letter in another style: fullwidth, bold, circled."""
    return not character.isascii() and unicodedata.normalize("NFKC", character).isascii()


@lru_cache(maxsize=65536)
def _plain(character: str) -> str:
    if character.isascii():
        return " " if character.isspace() else character if character.isprintable() else ""
    code = ord(character)
    if _FIRST_REGIONAL <= code <= _LAST_REGIONAL:
        return chr(ord("a") + code - _FIRST_REGIONAL)
    if character.isspace() or unicodedata.category(character).startswith("Z"):
        return " "
    decomposed = unicodedata.normalize("NFKD", character)
    kept = "".join(part for part in decomposed if unicodedata.category(part) not in _INVISIBLE)
    if not kept or kept.isascii():
        return kept.strip("()") if len(kept) > 1 else kept
    return "".join(_confused(part) for part in kept)


def _confused(character: str) -> str:
    """Return the ASCII letter that looks the same, or the character."""
    if not character.isalpha():
        return character
    found = confusables.is_confusable(character, greedy=True)
    for entry in found or ():
        for lookalike in entry["homoglyphs"]:
            if len(lookalike["c"]) == 1 and lookalike["c"].isascii() and lookalike["c"].isalpha():
                return str(lookalike["c"])
    return character


@lru_cache(maxsize=4096)
def _name(character: str) -> str:
    return unicodedata.name(character, "")
