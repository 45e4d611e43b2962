"""Claims: awards, fame, origin, people, superlatives, denials. A text may make one only in words of its facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import yaml

from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import Reading, straightened
from services.orchestrator.content.writing.genres import claims as genre_claims
from services.orchestrator.content.writing.genres import genre_of
from services.orchestrator.content.writing.words import words

_FILE = Path(__file__).parent.parent / "data" / "claims.yaml"
_NEGATION = re.compile(
    r"(?<!\w)(?:not|no|never|neither|nor|none|nothing|nobody|nowhere|without|hardly|barely|scarcely|seldom|rarely|unlike|"
    r"except|lacks?|lacking|fails?|failed|instead|avoid|avoids|skip|anything but|far from|less|least|cannot|"
    r"\w+n't)(?!\w)"
)
# Denials that deny nothing.
_HARMLESS_NEGATION = re.compile(
    r"why not(?= \||, | try | have | see | watch | play )|not far from(?= what you)|you may not have seen it"
)
# What reviews do not like; whether they do is checked with the aspects.
_REVIEW_NEGATION = re.compile(r"but not (?=the )|less well of|less happy with|not everyone is happy with")
_SUPERLATIVE = re.compile(
    r"(?<!\w)(?:best|worst|greatest|finest|most|least|ultimate|supreme|unmatched|unrivall?ed|unsurpassed|unbeatable|"
    r"number one|no\. 1|top|ever made|of all time|always|absolutely|truly|utterly|completely|totally|"
    r"\w{3,}est)(?!\w)"
)
_NO_SUPERLATIVE = words("no superlative")
# What the item is, for things that people watch, play, hear or read.
_KINDS: Mapping[str, str] = {
    noun: family
    for family, nouns in {
        "film": "film films movie movies picture pictures motion-picture",
        "series": "series show shows tv television season seasons episode episodes",
        "game": "game games videogame videogames level levels",
        "book": "book books novel novels audiobook",
        "music": "album albums song songs track tracks podcast podcasts concert",
    }.items()
    for noun in nouns.split()
}


def check_claims(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield claims that no fact makes."""
    text = reading.rest.lower()
    given = straightened(" ".join((*facts.sentences, *facts.praised, *facts.criticised))).lower()
    for name, pattern in _claims().items():
        for match in pattern.finditer(text):
            if not _said(match[0], given):
                yield Finding("claim", match[0], f"is a claim about {name} that no fact makes")
    own = {genre_of(tag).key for tag in facts.genres}
    tags = {word for tag in facts.genres for word in re.findall(r"\w+", tag.lower())}
    for word, keys in genre_claims(text):
        if not keys & own and word not in tags and not _said(word, given):
            yield Finding("genre", word, "claims a genre that the item does not have")
    for token in reading.words:
        family = _KINDS.get(token.lower)
        own_family = _KINDS.get(facts.kind.lower().rpartition(" ")[2], facts.kind.lower())
        if family and family != own_family and not _said(token.lower, given):
            yield Finding("claim", token.lower, f"says that it is a {family}, and no fact does")
    yield from _denials(text, given, reviewed=bool(facts.criticised))
    for match in _SUPERLATIVE.finditer(text):
        standing = bool(facts.standing) and (
            (match[0] == "most" and text[: match.start()].endswith(f" {facts.standing} "))
            or (match[0] == "top" and text[match.end() :].startswith(f" {facts.standing} "))
        )
        if match[0] not in _NO_SUPERLATIVE and not standing and not _said(match[0], given):
            yield Finding("superlative", match[0], "is a superlative that no fact holds")


def _denials(text: str, given: str, *, reviewed: bool) -> Iterator[Finding]:
    harmless = [match.span() for match in _HARMLESS_NEGATION.finditer(text)]
    if reviewed:
        harmless += [match.span() for match in _REVIEW_NEGATION.finditer(text)]
    for match in _NEGATION.finditer(text):
        inside = any(start <= match.start() and match.end() <= end for start, end in harmless)
        if not inside and not _said(match[0], given):
            yield Finding("negation", match[0], "denies something that no fact denies")


def denial(sentence: str) -> int | None:
    """Return where a sentence begins to deny something; None when it denies nothing."""
    found = _NEGATION.search(straightened(sentence).lower())
    return found.start() if found else None


def _said(words: str, given: str) -> bool:
    return bool(given) and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", given) is not None


@lru_cache(maxsize=1)
def _claims() -> Mapping[str, re.Pattern[str]]:
    table = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {
        name: re.compile(
            r"(?<!\w)(?:"
            + "|".join(re.escape(str(entry)) for entry in sorted(map(str, entries), key=len, reverse=True))
            + r")(?!\w)"
        )
        for name, entries in table.items()
    }
