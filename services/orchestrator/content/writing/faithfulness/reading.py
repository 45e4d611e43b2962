"""A candidate text as tokens, with the titles that it names found and set apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from services.orchestrator.content.writing.facts import Facts

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"'})
_TOKEN = re.compile(
    r"(?P<number>\d[\d,.:]*\d[^\W_]*|\d[^\W_]*)"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)"
    r"|(?P<mark>[^\w\s]|_)"
)
_ENDS = frozenset(".!?…")
MAIN = -1
"""The reference of a mention of the item itself; other mentions refer to a reason by its place."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number, mark or mention of a title.

    Attributes:
        text: as it is written, with straight apostrophes and quotes.
        start, end: its place in the text.
        kind: what it is.
        reference: of a mention, `MAIN` or the place of the reason that names it.
        first: whether it begins a sentence.
        ending: of a mention, "'s" where it is a possessive.
    """

    text: str
    start: int
    end: int
    kind: Literal["number", "word", "mark", "mention"]
    reference: int = 0
    first: bool = False

    @property
    def lower(self) -> str:
        """The text in lower case."""
        return self.text.lower()


@dataclass(frozen=True)
class Reading:
    """A candidate text, read against its facts.

    Attributes:
        text: with straight apostrophes and quotes.
        tokens: in their order.
    """

    text: str
    tokens: tuple[Token, ...]

    @cached_property
    def rest(self) -> str:
        """The text with every mention replaced by as many bars, so that places stay."""
        characters = list(self.text)
        for token in self.tokens:
            if token.kind == "mention":
                characters[token.start : token.end] = "|" * (token.end - token.start)
        return "".join(characters)

    @property
    def words(self) -> list[Token]:
        """The words outside mentions."""
        return [token for token in self.tokens if token.kind == "word"]

    def before(self, index: int, count: int) -> list[str]:
        """Return up to `count` tokens before one, in lower case, of the same sentence; the nearest last."""
        found: list[str] = []
        for token in reversed(self.tokens[max(0, index - count) : index]):
            if token.text in _ENDS:
                break
            found.append("" if token.kind == "mention" else token.lower)
        return found[::-1]

    def after(self, index: int, count: int) -> list[str]:
        """Return up to `count` tokens after one, in lower case, of the same sentence."""
        found: list[str] = []
        for token in self.tokens[index + 1 : index + 1 + count]:
            if token.text in _ENDS:
                break
            found.append("" if token.kind == "mention" else token.lower)
        return found


def straightened(text: str) -> str:
    """Return the text with straight apostrophes and quotes."""
    return text.translate(_APOSTROPHES)


def read(text: str, facts: Facts) -> Reading:
    """Find the titles in a text and cut the rest into tokens."""
    plain = straightened(text)
    mentions = _mentions(plain, facts)
    tokens: list[Token] = []
    first, at = True, 0
    for start, end, reference in [*mentions, (len(plain), len(plain), 0)]:
        for match in _TOKEN.finditer(plain, at, start):
            kind: Literal["number", "word", "mark"] = (
                "number" if match["number"] else "word" if match["word"] else "mark"
            )
            tokens.append(Token(match[0], *match.span(), kind, first=first))
            first = kind == "mark" and (match[0] in _ENDS or (first and match[0] not in ","))
        if end > start:
            tokens.append(Token(plain[start:end], start, end, "mention", reference, first))
            first = False
        at = end
    return Reading(plain, tuple(tokens))


def _mentions(text: str, facts: Facts) -> list[tuple[int, int, int]]:
    """Return (start, end, reference) of every title in the text; longer titles are found first, none overlap."""
    names: dict[str, int] = {}
    for place, reason in reversed(list(enumerate(facts.reasons))):
        if reason.title and reason.kind != "taste":
            names[straightened(reason.title)] = place
    names |= {straightened(name): MAIN for name in (facts.title.name, *facts.title.others)}
    found: list[tuple[int, int, int]] = []
    for name in sorted(names, key=len, reverse=True):
        for match in re.finditer(rf"(?<![\w'-]){re.escape(name)}(?!\w|-\w|'(?!s\b))", text):
            if all(match.end() <= start or end <= match.start() for start, end, _ in found):
                found.append((*match.span(), names[name]))
    return sorted(found)


def description_words(facts: Facts) -> Sequence[str]:
    """Return the words and numbers of the description, as they are written."""
    return [match[0] for match in _TOKEN.finditer(straightened(" ".join(facts.sentences))) if match["mark"] is None]
