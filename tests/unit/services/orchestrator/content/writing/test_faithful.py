from __future__ import annotations

from collections import Counter

import pytest

from services.orchestrator.content.writing.faithful import check_faithful
from tests.unit.services.orchestrator.content.writing.cases import Case, all_facts, faithful_cases, refused_cases

# What a strict check may cost: faithful texts that it does not understand.
MOST_FALSE_REFUSALS = 0.05


@pytest.mark.parametrize("case", refused_cases(), ids=lambda case: f"{case.kind}: {case.text[:60]}")
def test_an_invented_text_is_refused(case: Case) -> None:
    assert case.check()


def test_faithful_texts_pass() -> None:
    refused = [case.text for case in faithful_cases() if case.check()]
    assert len(refused) / len(faithful_cases()) <= MOST_FALSE_REFUSALS, refused


def test_there_are_cases_of_every_kind() -> None:
    kinds = Counter(case.kind for case in refused_cases())
    assert sum(kinds.values()) >= 200
    assert len(kinds) >= 15
    assert len(faithful_cases()) >= 80
    assert len({case.text for case in refused_cases()}) == sum(kinds.values())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Because you liked Casino, try Heat, a 1996 crime film.", "number"),
        ("Because you liked Casino, try Heat, with Al Pacino.", "name"),
        ("Because you liked Casino, try Heat, a romantic film.", "genre"),
        ("Because you liked Casino, try Heat, an award-winning film.", "claim"),
        ("Because you liked Casino, try Heat, not a crime film.", "negation"),
        ("Because you liked Casino, try Heat, the greatest crime film.", "superlative"),
        ("Because you liked Heat, try Casino.", "relation"),
        ('Because you liked Casino, try Heat: "so good".', "quote"),
        ("Because you liked Casino, try H\u0435at, a crime film.", "characters"),
        ("Because you liked Casino, try Heat at https://a.example.", "markup"),
        ("Because you liked Casino, try Heat, a damn crime film.", "blocked"),
        ("Because you liked Casino, try Heat, a 1995 crime", "length"),
        ("A crime film from 1995.", "omission"),
        ("Because you liked Casino, try Heat, a heist.", "vocabulary"),
    ],
)
def test_a_refusal_says_what_was_found(text: str, kind: str) -> None:
    found = {str(finding.kind): finding for finding in check_faithful(text, all_facts()["heat"])}
    assert kind in found
    assert found[kind].message


def test_a_text_that_is_too_long_is_refused() -> None:
    text = "Because you liked Casino, try Heat, a 1995 crime film."
    assert check_faithful(text, all_facts()["heat"], most_characters=len(text)) == []
    assert [found.kind for found in check_faithful(text, all_facts()["heat"], most_characters=40)] == ["length"]
