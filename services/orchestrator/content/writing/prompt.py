"""How a language model is told facts, and how its text gets them: one line of places, and the beginning of the answer::

    facts: title = TITLE | kind = KIND | year = YEAR | genres = GENRES | reason = you liked OTHER
    text:

The model never sees a value: it cannot misspell a name, say what it happens to know of it, or obey one that gives
orders. Its answer is filled in here. The decoder of the text service was fitted on this very format; another model is
told the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.orchestrator.content.writing.facts import Facts, ReasonFact

STOPS = ("\n", "facts:", "text:")
"""Where an answer ends."""
_OTHER = "OTHER"
_MOST_GENRES = 3
_TAUGHT_VERBS = frozenset({"liked", "watched"})
_PLACE = re.compile(r"\b(?:(?P<article>[Aa]n?) )?(?P<place>[A-Z]{4,})\b")
_VOWEL = re.compile(r"[aeiou]|8|1[18](?:\d\d)?\b", re.IGNORECASE)
"""What is said with a vowel: letters as they are written, and numbers such as 8, 11, 18 and 1895."""


def facts_prompt(facts: Facts) -> str:
    """Return the prompt; no value of a fact is in it."""
    places = _places(facts)
    told = [f"{name} = {place}" for name, (place, _) in places.items() if name != _OTHER]
    reason = _reason(facts)
    if reason is not None:
        told.append(f"reason = {replace(reason, title=_OTHER).phrase if reason.title else reason.phrase}")
    return f"facts: {' | '.join(told)}\ntext:"


def filled(text: str, facts: Facts) -> str:
    """Return a model's text with the values in their places, and the articles before them made to fit.

    A place that has no value stays as it is, for the check to find.
    """
    values = dict(_places(facts).values())

    def value_of(match: re.Match[str]) -> str:
        value = values.get(match["place"])
        if value is None:
            return match[0]
        if not match["article"]:
            return value
        article = match["article"][0] + ("n" if _VOWEL.match(value) else "")
        return f"{article} {value}"

    return _PLACE.sub(value_of, text)


def _places(facts: Facts) -> Mapping[str, tuple[str, str]]:
    """Return for each fact there is what stands for its value, and the value as a sentence says it."""
    reason = _reason(facts)
    known = {
        "title": ("TITLE", facts.title.name),
        "kind": ("KIND", facts.kind),
        "year": ("YEAR", str(facts.year) if facts.year else ""),
        "genres": ("GENRES", _joined([genre.lower() for genre in facts.genres[:_MOST_GENRES]])),
        "rating": ("RATING", f"{facts.rating} of {facts.rating_scale}" if facts.rating else ""),
        "reviews": ("COUNT", str(facts.review_count) if facts.review_count else ""),
        "liked": ("LIKED", _joined(facts.praised)),
        "disliked": ("DISLIKED", _joined(facts.criticised)),
        _OTHER: (_OTHER, reason.title if reason else ""),
    }
    return {name: (place, value) for name, (place, value) in known.items() if value}


def _reason(facts: Facts) -> ReasonFact | None:
    """Return the strongest reason that the decoder was taught, else the strongest with a title, else the first."""
    taught = (one for one in facts.reasons if one.kind == "alike" or one.verb in _TAUGHT_VERBS)
    named = (one for one in facts.reasons if one.title)
    return next(taught, None) or next(named, None) or next(iter(facts.reasons), None)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
