"""Numbers: each one is in the facts, and means there what it means in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from services.orchestrator.content.writing.facts import Facts
from services.orchestrator.content.writing.faithfulness.findings import Finding
from services.orchestrator.content.writing.faithfulness.reading import Reading, Token, description_words
from services.orchestrator.content.writing.words import words

_WORDS = words("numbers")
_ROMAN = re.compile(r"(?=[IVXLCM])M*(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
# After a year only these may come: what the item is, or the rest of the sentence. Anything else would count something.
_COUNTABLE = words("countable")
_BEFORE_YEAR = words("before a year")
_NOT_BEFORE_YEAR = words("not before a year")
# "One" that counts nothing: "your next one", "this one".
_PRONOUN_BEFORE = words("before a pronoun")


def check_numbers(reading: Reading, facts: Facts) -> Iterator[Finding]:
    """Yield every number, in digits, words or Roman numerals, that is not given or means something else."""
    given = description_words(facts)
    lower = [word.lower() for word in given]
    for index, token in enumerate(reading.tokens):
        if token.kind == "number":
            if not _is_given(index, token, reading, facts, given):
                yield Finding(
                    "number", _with_next(index, reading), "is no number of the facts, or counts something else"
                )
        elif token.kind == "word":
            word = token.lower
            if word == "one" and not _counts_nothing(index, reading, facts):
                yield Finding("number", _with_next(index, reading), "counts something that no fact counts")
            elif word in _WORDS and not _in_description(index, reading, lower):
                yield Finding("number", token.text, "is a number that no fact holds")
            elif len(token.text) > 1 and _ROMAN.fullmatch(token.text) and token.text not in given:
                yield Finding("number", token.text, "is a Roman numeral that no fact holds")
        elif token.text == "%" and "%" not in " ".join(facts.sentences):
            yield Finding("number", "%", "is a percentage that no fact holds")


def _is_given(index: int, token: Token, reading: Reading, facts: Facts, given: Sequence[str]) -> bool:
    before, after = reading.before(index, 6), reading.after(index, 6)
    last, following = (before or [""])[-1], (after or [""])[0]
    text = token.text
    if facts.year and text == str(facts.year):
        clear = last not in _NOT_BEFORE_YEAR and (not before or last in _BEFORE_YEAR or last == "")
        span = following in ("-", "–", "—", "/", "%", "+", "$") or last in ("-", "–", "—", "/", "$", "£", "€")
        return clear and not span and (following not in _COUNTABLE or _goes_on(after))
    if facts.maturity_age and text == str(facts.maturity_age):
        ages = last in ("ages", "age", "aged") or (last == "over" and following not in _COUNTABLE)
        upwards = following in ("and", "or") and (after[1:2] or [""])[0] in ("up", "older", "over", "above")
        if (ages and following not in ("to", "-", "–", "—")) or (
            last in ("for", "from", "ages", "age", "aged") and upwards
        ):
            return True
    if facts.standing and text == str(facts.standing):
        return (after[:2] == ["most", "popular"] and last == "the") or (last == "top" and after[:1] != ["%"])
    if facts.review_count and text in (str(facts.review_count), f"{facts.review_count:,}"):
        return following in ("reviews", "reviewers", "people", "review")
    if facts.rating and text == facts.rating:
        scale = after[1:2] if following in ("of", "/") else after[2:3] if after[:2] == ["out", "of"] else []
        return scale == [facts.rating_scale]
    if facts.rating and text == facts.rating_scale:
        return facts.rating in before[-3:]
    return _in_description(index, reading, [word.lower() for word in given])


def _goes_on(after: list[str]) -> bool:
    """Return whether a word that could be counted only joins the sentence on: "1995 and ..."; not "1995 of 2000"."""
    return (
        after[0] in ("and", "in", "or", "up", "out")
        and not any(map(str.isdigit, "".join(after[1:3])))
        and after[0] == "and"
    )


def _counts_nothing(index: int, reading: Reading, facts: Facts) -> bool:
    before, after = reading.before(index, 2), reading.after(index, 5)
    if facts.standing and after[:2] == ["of", "the"] and str(facts.standing) in after:
        return True
    if after[:1] in (["of"], ["hundred"], ["million"], ["-"]):
        return False
    return (
        (not after or after[0] in (",", ":", ";", "for", "to", "too"))
        and bool(before)
        and (before[-1] in _PRONOUN_BEFORE or before[-2:] == ["all", "in"])
    )


def _in_description(index: int, reading: Reading, given: list[str]) -> bool:
    """Return whether the number stands in the description before the same word."""
    token, following = reading.tokens[index], reading.tokens[index + 1 : index + 2]
    for place, word in enumerate(given):
        if word == token.lower:
            after = given[place + 1 : place + 2]
            said = [one.lower for one in following if one.kind == "word"]
            if not after or said == after:
                return True
    return False


def _with_next(index: int, reading: Reading) -> str:
    return " ".join(token.text for token in reading.tokens[index : index + 2])
