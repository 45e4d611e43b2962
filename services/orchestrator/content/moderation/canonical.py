"""A message with its disguises taken off, and where each character of it stood in the message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.orchestrator.content.moderation.disguises import LONGEST_TOKEN, bare_word, read_disguise
from services.orchestrator.content.moderation.lexicon import Lexicon
from services.orchestrator.content.moderation.plain_characters import PlainText, plain_characters

_TOKEN = re.compile(r"\S+")
# Single letters in a row, "f u c k", are read together.
_SPELLED = re.compile(rf"(?<!\S)(?:\S\s+){{2,{LONGEST_TOKEN - 1}}}\S(?!\S)")
# Signs around a word that make it louder and hide nothing.
_EMPHASIS = "*_~#`"
_PIECE = re.compile(rf"[^\W_]{{1,{LONGEST_TOKEN}}}")


@dataclass(frozen=True)
class Canonical:
    """The message in plain words.

    Attributes:
        text: plain text, disguised words written out in lower case.
        starts: for each of its characters, the first character of the message that it stands for.
        ends: likewise the character after the last.
        disguised: the words that were written out, with their place in the message: (word, start, end).
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    disguised: tuple[tuple[str, int, int], ...]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return the part of the message that a part of `text` stands for."""
        if start >= end or start >= len(self.starts):
            return 0, 0
        end = min(end, len(self.ends))
        return min(self.starts[start:end]), max(self.ends[start:end])


def canonical(text: str, lexicon: Lexicon) -> Canonical:
    """Take the disguises off a message."""
    plain = plain_characters(text)
    written: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    disguised: list[tuple[str, int, int]] = []

    def keep(begin: int, end: int) -> None:
        written.append(plain.text[begin:end])
        starts.extend(plain.places[begin:end])
        ends.extend(place + 1 for place in plain.places[begin:end])

    at = 0
    for begin, end, word in _readings(plain, lexicon):
        keep(at, begin)
        first, last = min(plain.places[begin:end]), max(plain.places[begin:end]) + 1
        written.append(word)
        starts.extend([first] * len(word))
        ends.extend([last] * len(word))
        if bare_word(text[first:last].lower().strip(_EMPHASIS)) != word:
            disguised.append((word, first, last))
        at = end
    keep(at, len(plain.text))
    return Canonical("".join(written), tuple(starts), tuple(ends), tuple(disguised))


def _readings(plain: PlainText, lexicon: Lexicon) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, word) of each offensive word in the plain text, in order."""
    taken = 0
    spelled = {match.start(): match for match in _SPELLED.finditer(plain.text)}
    for begin, end in _tokens(plain.text):
        if begin < taken:
            continue
        if begin in spelled:
            run = spelled[begin]
            word = read_disguise(re.sub(r"\s+", "", run.group()).lower(), lexicon)
            if word:
                taken = run.end()
                yield begin, run.end(), word
                continue
        word = read_disguise(plain.text[begin:end].lower(), lexicon)
        if word:
            yield begin, end, word


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each word between white space; of one that is too long to be read, its parts."""
    for match in _TOKEN.finditer(text):
        if match.end() - match.start() <= LONGEST_TOKEN:
            yield match.span()
        else:
            for piece in _PIECE.finditer(text, *match.span()):
                yield piece.span()
