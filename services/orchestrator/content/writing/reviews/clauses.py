"""Reviews cut into clauses, each with its place, so that a quote is the reviewer's own words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.writing.instructions import is_instruction

_CLAUSE = re.compile(
    r"[^.!?…;\n]+?(?=(?:[.!?…]+[\"'”’)]*(?:\s|$)|[;\n]|,?\s+(?:but|although|though|however|whereas|except)\b|$))"
    r"(?:[.!?…]+[\"'”’)]*)?"
)
_CONTACT = re.compile(r"https?:|www\.|\S@\S|\d{6,}")
_WORD = re.compile(r"[a-z]+")
_LEADS = re.compile(r"[\s,]*(?:(?:but|although|though|however|whereas|and),?\s+)?", re.IGNORECASE)
SHORTEST_QUOTE, LONGEST_QUOTE = 20, 240
_MOST_CLAUSES = 40


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a review: the review's place in the request, and where the part begins and ends in its text."""

    review: int
    start: int
    end: int
    text: str

    @property
    def quotable(self) -> bool:
        """Whether it may be shown: of a good length, seen as written, without contacts, insults or instructions."""
        if not SHORTEST_QUOTE <= len(self.text) <= LONGEST_QUOTE:
            return False
        if any(unicodedata.category(character).startswith("C") for character in self.text):
            return False
        offensive = load_lexicon().offensive
        if any(word in offensive for word in _WORD.findall(self.text.lower())):
            return False
        return not _CONTACT.search(self.text) and not is_instruction(self.text)


def clauses_of(texts: Sequence[str], reviews: Sequence[int]) -> list[Clause]:
    """Return the clauses of reviews that hold a word, at most 40 a review.

    Args:
        texts: the texts.
        reviews: their places in the request.
    """
    found: list[Clause] = []
    for review, text in zip(reviews, texts, strict=True):
        of_this = 0
        for match in _CLAUSE.finditer(text):
            start = match.start() + _leading(match[0])
            end = match.end() - (len(match[0]) - len(match[0].rstrip()))
            if end > start and any(map(str.isalpha, text[start:end])):
                found.append(Clause(review, start, end, text[start:end]))
                of_this += 1
                if of_this == _MOST_CLAUSES:
                    break
    return found


def _leading(text: str) -> int:
    """Return how many characters lead from the clause before."""
    match = _LEADS.match(text)
    return match.end() if match else 0
