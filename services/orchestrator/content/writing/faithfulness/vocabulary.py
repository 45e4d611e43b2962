"""Words: a closed vocabulary. What is neither grammar nor in the facts is invented, whatever it says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.claims import denial
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import Reading, description_words, straightened
from services.orchestrator.content.writing.genres import genre_of
from services.orchestrator.content.writing.words import words

_FILE = Path(__file__).parent.parent / "data" / "vocabulary.txt"
# Words that only facts of one sort open.
_POPULAR = words("popular")
_FRESH = words("fresh")
_BEFORE = words("had before")
_ALIKE = words("alike")
_HISTORY = words("history")
_AGES = words("ages")
_REVIEWS = words("reviews")
# Words that are harmless together only.
_PAIRS = re.compile(r"\b(?:how about|that is what|made for ages|kind of thing|in the mood|what about)\b")
_WORD = re.compile(r"[\w'-]+")
_CATALOGUE = ("catalogue", "catalog", "service", "here")
_WATCHED = frozenset({"film", "movie", "series", "show", "documentary"})


def check_vocabulary(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield words that are neither harmless nor given, words out of the description's order, and offensive ones."""
    allowed = _harmless() | _opened(facts)
    described = [word.lower() for word in description_words(facts)]
    taken: list[str] = []
    harmless_pairs = [match.span() for match in _PAIRS.finditer(reading.rest.lower())]
    for token in reading.words:
        if any(start <= token.start < end for start, end in harmless_pairs):
            continue
        word = re.sub(r"'s$", "", token.lower)
        if token.lower in allowed or word in allowed:
            continue
        if word in described or token.lower in described:
            taken.append(word if word in described else token.lower)
        else:
            yield Finding("vocabulary", token.text[:100], "says something that no fact says")
    yield from _check_order(taken, facts, reading)
    lexicon = load_lexicon()
    plain = canonical(reading.rest, lexicon)
    for word in re.findall(r"[a-z']+", plain.text.lower()):
        if word in lexicon.offensive and word not in described and word not in allowed:
            yield Finding("blocked", word, "is a word that moderation blocks")


def _check_order(taken: list[str], facts: Facts, reading: Reading) -> Iterator[Finding]:
    """Yield when the description's words come in another order, which may say another thing, or without its denial."""
    remaining, place = list(taken), 0
    if not remaining:
        return
    for sentence in facts.sentences:
        plain = straightened(sentence).lower()
        denies, words = denial(sentence), _WORD.findall(plain)
        start, at = place, 0
        while place < len(remaining):
            try:
                at = words.index(remaining[place], at) + 1
            except ValueError:
                break
            place += 1
        behind = denies is not None and place > start and at > len(_WORD.findall(plain[:denies]))
        if behind and denial(reading.rest) is None:
            yield Finding("negation", sentence[:100], "is repeated without its denial")
    if place < len(remaining):
        yield Finding("relation", remaining[place], "stands in another order than in the description")


def _opened(facts: Facts) -> frozenset[str]:
    """Return the words that these facts open."""
    kinds = {reason.kind for reason in facts.reasons}
    opened = {*_WORD.findall(facts.kind.lower()), *_of_genres(facts), *_of_reasons(facts)}
    if facts.kind == "film":
        opened |= {"movie", "films", "movies"}
    reviewed = bool(facts.review_count or facts.rating or facts.praised or facts.criticised)
    by_fact: list[tuple[bool, Iterable[str]]] = [
        ("popular" in kinds, _POPULAR),
        ("fresh" in kinds, _FRESH),
        (bool(kinds & {"near", "taste"}), _BEFORE),
        ("taste" in kinds, ("said", "told", "say")),
        ("alike" in kinds, _ALIKE),
        ("history" in kinds, _HISTORY),
        ("pinned" in kinds, ("placed",)),
        (bool(facts.maturity_age), _AGES),
        (reviewed, _REVIEWS),
        (reviewed and facts.kind.lower() in _WATCHED, ("viewers",)),
        (bool(facts.standing), ("most", "popular", "top")),
        (bool(facts.standing or kinds), _CATALOGUE),
    ]
    for there, more in by_fact:
        if there:
            opened.update(more)
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
        if reason.kind == "taste":
            yield from (*_WORD.findall(reason.title.lower()), *_WORD.findall(genre_of(reason.title).of))


@lru_cache(maxsize=1)
def _harmless() -> frozenset[str]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split()) | {"|"}
