"""A message with its disguises taken off, and where each character of it stood in the message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.orchestrator.content.moderation.disguises import read_disguise
from services.orchestrator.content.moderation.lexicon import Lexicon
from services.orchestrator.content.moderation.plain_characters import PlainText, plain_characters

_TOKEN = re.compile(r"\S+")
# Single letters in a row, "f u c k", are read together.
_SPELLED = re.compile(r"(?<!\S)(?:\S\s+){2,}\S(?!\S)")


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
        return self.starts[start], max(self.ends[start : min(end, len(self.ends))])


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
        first, last = plain.places[begin], plain.places[end - 1] + 1
        written.append(word)
        starts.extend([first] * len(word))
        ends.extend([last] * len(word))
        if plain.changed or plain.text[begin:end].lower().strip(".,;:!?\"'()[]{}") != word:
            disguised.append((word, first, last))
        at = end
    keep(at, len(plain.text))
    return Canonical("".join(written), tuple(starts), tuple(ends), tuple(disguised))


def _readings(plain: PlainText, lexicon: Lexicon) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, word) of each offensive word in the plain text, in order."""
    taken = 0
    spelled = {match.start(): match for match in _SPELLED.finditer(plain.text)}
    for match in _TOKEN.finditer(plain.text):
        if match.start() < taken:
            continue
        if match.start() in spelled:
            run = spelled[match.start()]
            word = read_disguise(re.sub(r"\s+", "", run.group()).lower(), lexicon)
            if word:
                taken = run.end()
                yield run.start(), run.end(), word
                continue
        token = match.group().lower()
        if token in lexicon.known:
            continue
        word = read_disguise(token, lexicon)
        if word:
            yield match.start(), match.end(), word
