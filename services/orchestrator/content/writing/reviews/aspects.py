"""What reviews speak of: known aspects, and other nouns that several reviews have behind "the", "its" and the like."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import yaml

from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.writing.reviews.clauses import Clause
from services.orchestrator.content.writing.words import words

_FILE = Path(__file__).parent.parent / "data" / "aspects.yaml"
MOST_ASPECTS = 40
# A noun that is no known aspect counts when so many reviews have it.
_FEWEST_REVIEWS = 3
_FUNCTION = words("function")
# Endings that nouns rarely have and adjectives, adverbs and participles do.
_NO_NOUN = re.compile(r"(?:ly|ous|ful|less|able|ible|ive|ed|est|ish)$")


def mentions(clauses: Sequence[Clause], wanted: Sequence[str] = ()) -> dict[str, list[int]]:
    """Return the places of the clauses that speak of each aspect, by how many reviews do, most first.

    Args:
        clauses: of all reviews.
        wanted: the caller's own aspects; with them, nothing else is looked for.
    """
    found: dict[str, list[int]] = defaultdict(list)
    patterns = {aspect: _pattern((aspect,)) for aspect in wanted} if wanted else _known()
    for place, clause in enumerate(clauses):
        text = clause.text.lower()
        for aspect, pattern in patterns.items():
            if pattern.search(text):
                found[aspect].append(place)
    if not wanted:
        for noun, places in _frequent_nouns(clauses, taken=_taken()).items():
            found.setdefault(noun, places)
    ordered = sorted(found.items(), key=lambda entry: -len({clauses[place].review for place in entry[1]}))
    return dict(ordered[:MOST_ASPECTS])


def _frequent_nouns(clauses: Sequence[Clause], taken: frozenset[str]) -> Mapping[str, list[int]]:
    reviews: dict[str, set[int]] = defaultdict(set)
    for clause in clauses:
        for head in set(_heads(clause.text.lower())):
            if head not in taken:
                reviews[head].add(clause.review)
    # The pattern misses some places of a noun, so two reviews make it one; then all places count.
    patterns = {noun: _pattern((noun,)) for noun, found in reviews.items() if len(found) >= _FEWEST_REVIEWS - 1}
    lower = [clause.text.lower() for clause in clauses]
    places = {
        noun: [place for place, text in enumerate(lower) if pattern.search(text)] for noun, pattern in patterns.items()
    }
    return {
        noun: found for noun, found in places.items() if len({clauses[one].review for one in found}) >= _FEWEST_REVIEWS
    }


def _heads(text: str) -> Iterator[str]:
    """Yield the last word of each run of words behind a determiner, where a function word or the end follows it."""
    for match in re.finditer(r"(?<!\w)(?:the|its|their|this|these)\s+", text):
        run: list[str] = []
        for word in re.findall(r"[a-z'-]+|[^\sa-z'-]", text[match.end() : match.end() + 60])[:4]:
            if word in _FUNCTION or not word[0].isalpha():
                break
            run.append(word)
        else:
            continue
        if run and len(run[-1]) > 2 and not _NO_NOUN.search(run[-1]) and run[-1] not in load_lexicon().offensive:
            yield run[-1]


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Mapping[str, Sequence[str]]]:
    content: Mapping[str, Mapping[str, Sequence[str]]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content


@lru_cache(maxsize=1)
def _known() -> Mapping[str, re.Pattern[str]]:
    return {aspect: _pattern(tuple(words)) for aspect, words in _table()["known"].items()}


@lru_cache(maxsize=1)
def _taken() -> frozenset[str]:
    words = [word for entry in _table()["known"].values() for phrase in entry for word in phrase.split()]
    return frozenset((*words, *_table()["never"]))


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    body = "|".join(re.escape(word.lower()) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{body})(?!\w)")
