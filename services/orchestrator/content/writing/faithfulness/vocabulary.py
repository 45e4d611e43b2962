"""Words: a closed vocabulary. What is neither grammar nor in the facts is invented, whatever it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.claims import denial
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import Reading, description_words, straightened
from services.orchestrator.content.writing.faithfulness.turns import turn_spans
from services.orchestrator.content.writing.genres import genre_of
from services.orchestrator.content.writing.words import words

_FILE = Path(__file__).parent.parent / "data" / "vocabulary.txt"
# What may be said with reviews and ratings.
_REVIEWS = words("reviews")
_WORD = re.compile(r"[\w'-]+")
_CLAUSE_ENDS = frozenset('.,:;!?…()"')
_WATCHED = frozenset({"film", "movie", "series", "show", "documentary"})


def check_vocabulary(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield words that are neither harmless nor given, words out of the description's order, and offensive ones."""
    allowed = _harmless() | _opened(facts)
    described = [word.lower() for word in description_words(facts)]
    spans = turn_spans(reading, facts)
    taken: list[list[str]] = [[]]
    for token in reading.tokens:
        if token.kind == "mark" and token.text in _CLAUSE_ENDS:
            taken.append([])
        if token.kind != "word" or any(start <= token.start < end for start, end in spans):
            continue
        word = re.sub(r"'s$", "", token.lower)
        if token.lower in allowed or word in allowed:
            continue
        if word in described or token.lower in described:
            taken[-1].append(word if word in described else token.lower)
        else:
            yield Finding("vocabulary", token.text[:100], "says something that no fact says")
    for clause in filter(None, taken):
        yield from _check_order(clause, facts, reading)
    lexicon = load_lexicon()
    plain = canonical(reading.rest, lexicon)
    for word in re.findall(r"[a-z']+", plain.text.lower()):
        if word in lexicon.offensive and word not in described and word not in allowed:
            yield Finding("blocked", word, "is a word that moderation blocks")


def _check_order(taken: list[str], facts: Facts, reading: Reading) -> Iterator[Finding]:
    """Yield when a clause takes words of several sentences of the description, in another order, or not its denial."""
    for sentence in facts.sentences:
        plain = straightened(sentence).lower()
        at = _end_of(taken, _WORD.findall(plain))
        if at is None:
            continue
        denies = denial(sentence)
        if denies is not None and at > len(_WORD.findall(plain[:denies])) and denial(reading.rest) is None:
            yield Finding("negation", sentence[:100], "is repeated without its denial")
        return
    yield Finding("relation", " ".join(taken)[:100], "is not said so in the description")


def _end_of(taken: list[str], words_of: list[str]) -> int | None:
    """Return how many of a sentence's words it takes to find the others in their order; None where they are not."""
    at = 0
    for word in taken:
        try:
            at = words_of.index(word, at) + 1
        except ValueError:
            return None
    return at


def _opened(facts: Facts) -> frozenset[str]:
    """Return the words that these facts open wherever they stand."""
    opened = {*_WORD.findall(facts.kind.lower()), *_of_genres(facts), *_of_reasons(facts)}
    if facts.kind == "film":
        opened |= {"movie", "films", "movies"}
    if facts.review_count or facts.rating or facts.praised or facts.criticised:
        opened |= _REVIEWS
        if facts.kind.lower() in _WATCHED:
            opened.add("viewers")
    for aspect in (*facts.praised, *facts.criticised):
        opened.update(_WORD.findall(aspect.lower()))
    return frozenset(opened)


def _of_genres(facts: Facts) -> Iterator[str]:
    for tag in facts.genres:
        genre = genre_of(tag)
        yield from ("genre", "genres", "tagged")
        for said in (tag.lower(), genre.of, genre.before, genre.noun, *genre.words):
            yield from (said, *_WORD.findall(said.lower()), *re.findall(r"\w+", said.lower()))


def _of_reasons(facts: Facts) -> Iterator[str]:
    for reason in facts.reasons:
        yield from re.findall(r"\w+", reason.verb)
        if reason.verb == "liked":
            yield from ("enjoyed", "liked")
        if reason.verb == "watched":
            yield from ("watched", "watching", "seen", "saw")


@lru_cache(maxsize=1)
def _harmless() -> frozenset[str]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split()) | {"|"}
