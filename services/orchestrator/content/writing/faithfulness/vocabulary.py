"""Words: a closed vocabulary. What is neither grammar nor in the facts is invented, whatever it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.claims import negated
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import Reading, description_words, straightened
from services.orchestrator.content.writing.genres import genre_of

_FILE = Path(__file__).parent.parent / "data" / "vocabulary.txt"
# Words that only facts of one sort open.
_POPULAR = [
    "popular",
    "everyone",
    "many",
    "people",
    "chose",
    "choose",
    "chosen",
    "favourite",
    "favorite",
    "favourites",
    "loved",
    "by",
    "with",
    "widely",
]
_FRESH = [
    "new",
    "newly",
    "arrived",
    "added",
    "fresh",
    "addition",
    "additions",
    "recently",
    "latest",
    "in",
    "just",
    "first",
    "among",
    "catalogue",
]
_CATALOGUE = ["catalogue", "catalog", "service", "here"]
_BEFORE = [
    "close",
    "near",
    "vein",
    "similar",
    "before",
    "earlier",
    "taste",
    "tastes",
    "had",
    "what",
    "kind",
    "far",
    "goes",
    "on",
]
_ALIKE = [
    "resembles",
    "resemble",
    "resembling",
    "similar",
    "alike",
    "close",
    "akin",
    "reminiscent",
    "like",
    "know",
    "feel",
    "think",
    "idea",
    "at",
    "home",
]
_HISTORY = [
    "fans",
    "fan",
    "after",
    "history",
    "past",
    "taste",
    "tastes",
    "pleased",
    "previously",
    "already",
    "earlier",
    "recently",
]
_AGES = ["ages", "age", "aged", "suitable", "older", "over", "above", "up", "viewers", "audiences", "audience"]
_REVIEWS = [
    "reviews",
    "reviewers",
    "review",
    "praise",
    "praised",
    "praises",
    "rated",
    "rate",
    "rating",
    "rates",
    "average",
    "complaints",
    "complain",
    "criticise",
    "criticised",
    "criticism",
    "fault",
    "speak",
    "speaks",
    "less",
    "happy",
    "liked",
    "love",
    "some",
    "while",
    "gets",
    "stands",
    "reviewed",
    "on",
    "people",
    "viewers",
]
_WATCHED = frozenset({"film", "movie", "series", "show", "documentary"})


def check_vocabulary(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield words that are neither harmless nor given, words out of the description's order, and offensive ones."""
    allowed = _harmless() | _opened(facts)
    described = [word.lower() for word in description_words(facts)]
    taken: list[str] = []
    for token in reading.words:
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
        words = [word.lower() for word in re.findall(r"[^\W_]+(?:'[^\W_]+)*", straightened(sentence))]
        start, at = place, 0
        while place < len(remaining):
            try:
                at = words.index(remaining[place], at) + 1
            except ValueError:
                break
            place += 1
        if place > start and negated(sentence) and not negated(reading.rest):
            yield Finding("negation", sentence[:100], "is repeated without its denial")
    if place < len(remaining):
        yield Finding("relation", remaining[place], "stands in another order than in the description")


def _opened(facts: Facts) -> frozenset[str]:
    """Return the words that these facts open."""
    words: set[str] = set(re.findall(r"\w+", facts.kind.lower()))
    kinds = {reason.kind for reason in facts.reasons}
    for tag in facts.genres:
        genre = genre_of(tag)
        for said in (tag.lower(), genre.of, genre.before, genre.noun, *genre.words):
            words |= {said, *re.findall(r"[\w'-]+", said.lower())}
    if facts.kind == "film":
        words |= {"movie", "films", "movies"}
    if facts.genres:
        words |= {"genre", "genres", "tagged", "labelled"}
    opened: list[tuple[object, list[str]]] = [
        ("popular" in kinds, _POPULAR),
        ("fresh" in kinds, _FRESH),
        ("near" in kinds, _BEFORE),
        ("alike" in kinds, _ALIKE),
        ("history" in kinds, _HISTORY),
        ("taste" in kinds, [*_BEFORE, "said", "told", "say"]),
        ("pinned" in kinds, ["placed"]),
        (facts.maturity_age, _AGES),
        (facts.review_count or facts.rating or facts.praised or facts.criticised, _REVIEWS),
        (facts.standing, ["most", "popular", "top", *_CATALOGUE]),
        (kinds, _CATALOGUE),
    ]
    for there, more in opened:
        if there:
            words.update(more)
    for reason in facts.reasons:
        words |= set(re.findall(r"\w+", reason.verb))
        if reason.verb == "liked":
            words |= {"enjoyed", "liked"}
        if reason.verb == "watched":
            words |= {"watched", "watching", "seen", "saw"}
        if reason.kind == "taste":
            words |= {*re.findall(r"[\w-]+", reason.title.lower()), *re.findall(r"[\w-]+", genre_of(reason.title).of)}
    if facts.kind.lower() in _WATCHED and (facts.rating or facts.review_count):
        words.add("viewers")
    for aspect in (*facts.praised, *facts.criticised):
        words |= set(re.findall(r"[\w'-]+", aspect.lower()))
    return frozenset(words)


@lru_cache(maxsize=1)
def _harmless() -> frozenset[str]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split()) | {"|"}
