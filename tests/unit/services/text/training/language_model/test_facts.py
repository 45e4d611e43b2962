from __future__ import annotations

import random
import re

import pytest

from services.text.training.language_model.facts import (
    FIELDS,
    OTHER,
    PLACES,
    facts_of,
    facts_pair,
    facts_prompt,
    split_pair,
)
from services.text.training.language_model.made_facts import FactsMaker
from services.text.training.language_model.phrasings import BY_REASON, noun_phrase, say

_PLACE = re.compile(r"[A-Z]{3,}")


def test_a_prompt_is_one_line_of_facts_and_the_beginning_of_the_answer() -> None:
    facts = {"reason": f"you liked {OTHER}", "kind": "KIND", "title": "TITLE", "genres": "GENRES", "year": "YEAR"}
    assert facts_prompt(facts) == (
        "facts: title = TITLE | kind = KIND | year = YEAR | genres = GENRES | reason = you liked OTHER\ntext:"
    )


def test_facts_and_sentence_come_back_from_a_pair() -> None:
    facts = {"title": "TITLE", "kind": "KIND", "rating": "RATING"}
    prompt, sentence = split_pair(facts_pair(facts, "TITLE is a KIND. It is rated RATING."))
    assert facts_of(prompt) == facts
    assert sentence == "TITLE is a KIND. It is rated RATING."


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"kind": "KIND", "year": "YEAR"},
        {"title": "TITLE"},
        {"title": "TITLE", "kind": "KIND", "price": "3"},
        {"title": "TITLE | year = 2000", "kind": "KIND"},
        {"title": "TI\nTLE", "kind": "KIND"},
    ],
)
def test_facts_that_the_format_cannot_say_are_refused(facts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"title|neither"):
        facts_prompt(facts)


@pytest.mark.parametrize("reason", BY_REASON)
def test_every_phrasing_names_each_place(reason: str) -> None:
    named = f"{reason} {OTHER}" if reason in ("you liked", "you watched", "it resembles") else reason
    facts = {**PLACES, "reason": named}
    said = {say(facts, random.Random(seed)) for seed in range(200)}
    assert len(said) > 10
    places = set(PLACES.values()) | set(_PLACE.findall(named))
    assert all(set(_PLACE.findall(sentence)) == places for sentence in said)


def test_a_noun_phrase_says_what_there_is() -> None:
    draw = random.Random(0)
    assert noun_phrase({"title": "TITLE", "kind": "KIND"}, draw) == "a KIND"
    assert noun_phrase({"title": "TITLE", "kind": "KIND", "genres": "GENRES"}, draw) == "a GENRES KIND"
    dated = {noun_phrase({"title": "TITLE", "kind": "KIND", "year": "YEAR"}, random.Random(seed)) for seed in range(20)}
    assert dated == {"a YEAR KIND", "a KIND of YEAR", "a KIND from YEAR"}


def test_made_pairs_say_what_is_given_and_nothing_else() -> None:
    maker = FactsMaker(seed=3)
    for _ in range(300):
        prompt, sentence = split_pair(maker.pair())
        facts = facts_of(prompt)
        assert {"title", "kind"} <= set(facts) <= set(FIELDS)
        assert set(_PLACE.findall(sentence)) == set(_PLACE.findall(" ".join(facts.values())))


def test_the_same_seed_makes_the_same_pairs() -> None:
    first, second = FactsMaker(seed=1), FactsMaker(seed=1)
    assert [first.pair() for _ in range(20)] == [second.pair() for _ in range(20)]
    assert [FactsMaker(seed=2).pair() for _ in range(3)] != [FactsMaker(seed=1).pair() for _ in range(3)]
