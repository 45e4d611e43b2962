"""Turns of phrase that are known where their words stand together; data, in `data/phrases.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import yaml

from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.reading import Reading
from services.orchestrator.content.writing.genres import genre_of
from services.orchestrator.content.writing.grammar import plural

_FILE = Path(__file__).parent.parent / "data" / "phrases.yaml"


def turn_spans(reading: Reading, facts: Facts) -> list[tuple[int, int]]:
    """Return the places of the turns of phrase that these facts allow."""
    text = reading.rest.lower()
    return [match.span() for pattern in _patterns(facts) for match in pattern.finditer(text)]


def _patterns(facts: Facts) -> Iterator[re.Pattern[str]]:
    noun = facts.kind.lower()
    values = {"{noun}": noun, "{nouns}": plural(noun), "{standing}": str(facts.standing)}
    values["{age}"] = str(facts.maturity_age or "")
    kinds = {reason.kind for reason in facts.reasons}
    there = ["always", *sorted(kinds)]
    there += [name for name, fact in (("maturity", facts.maturity_age), ("standing", facts.standing)) if fact]
    there += ["catalogue"] if kinds or facts.standing else []
    table = _table()
    for name in there:
        for phrase in table.get(name, ()):
            for taste in _tastes(facts) if "{taste}" in phrase else ("",):
                yield _compiled(
                    phrase, tuple((key, re.escape(value)) for key, value in values.items()), re.escape(taste)
                )


def _tastes(facts: Facts) -> list[str]:
    titles = [reason.title for reason in facts.reasons if reason.kind == "taste"]
    return list(dict.fromkeys(said for title in titles for said in (title.lower(), genre_of(title).of.lower())))


@lru_cache(maxsize=2048)
def _compiled(phrase: str, values: tuple[tuple[str, str], ...], taste: str) -> re.Pattern[str]:
    for key, value in (*values, ("{taste}", taste)):
        phrase = phrase.replace(key, value)
    return re.compile(rf"(?<![\w'-])(?:{phrase})(?![\w'])")


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Sequence[str]]:
    content: Mapping[str, Sequence[str]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
