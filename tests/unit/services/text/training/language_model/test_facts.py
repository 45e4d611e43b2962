from __future__ import annotations

import random
import re

import pytest

from services.text.training.language_model.facts import FIELDS, facts_of, facts_pair, facts_prompt, split_pair
from services.text.training.language_model.made_facts import FactsMaker, Film
from services.text.training.language_model.phrasings import BY_REASON, noun_phrase, say

FILMS = [Film("Heat", "1995", ("Action", "Crime")), Film("Victor/Victoria", "1982", ("Comedy", "Musical"))]
WORDS = ("silver", "orchard", "winter", "engine", "paper", "lantern")


def test_a_prompt_is_one_line_of_facts_and_the_beginning_of_the_answer() -> None:
    facts = {"reason": "you liked Casino", "title": "Heat", "genres": "Action, Crime", "year": "1995"}
    assert facts_prompt(facts) == (
        "facts: title = Heat | year = 1995 | genres = Action, Crime | reason = you liked Casino\ntext:"
    )


def test_facts_and_sentence_come_back_from_a_pair() -> None:
    facts = {"title": "Heat", "rating": "4.2 of 5"}
    prompt, sentence = split_pair(facts_pair(facts, "Heat is a film. It is rated 4.2 of 5."))
    assert facts_of(prompt) == facts
    assert sentence == "Heat is a film. It is rated 4.2 of 5."


@pytest.mark.parametrize(
    "facts",
    [{}, {"year": "1995"}, {"title": "Heat", "price": "3"}, {"title": "Heat | year = 2000"}, {"title": "He\nat"}],
)
def test_facts_that_the_format_cannot_say_are_refused(facts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"title|neither"):
        facts_prompt(facts)


@pytest.mark.parametrize("reason", BY_REASON)
def test_every_phrasing_names_the_title_and_the_year(reason: str) -> None:
    named = f"{reason} Casino" if reason in ("you liked", "you watched", "it resembles") else reason
    facts = {"title": "Heat", "year": "1995", "genres": "Action, Crime", "reason": named}
    said = {say(facts, random.Random(seed)) for seed in range(200)}
    assert len(said) > 10
    assert all("Heat" in sentence and "1995" in sentence and "crime" in sentence for sentence in said)
    assert all(("Casino" in sentence) == named.endswith("Casino") for sentence in said)


def test_articles_fit_what_follows() -> None:
    draw = random.Random(0)
    assert noun_phrase({"title": "Heat", "genres": "Action"}, draw) == "an action film"
    assert noun_phrase({"title": "Heat", "genres": "Crime, Drama, War", "kind": "series"}, draw) == (
        "a crime, drama and war series"
    )
    assert noun_phrase({"title": "Heat"}, draw) == "a film"


def test_made_pairs_say_no_number_that_is_not_given() -> None:
    maker = FactsMaker(FILMS, WORDS, seed=3)
    for _ in range(300):
        prompt, sentence = split_pair(maker.pair())
        facts = facts_of(prompt)
        assert set(facts) <= set(FIELDS)
        assert facts["title"] in sentence
        given = set(re.findall(r"\d+", prompt))
        assert set(re.findall(r"\d+", sentence)) <= given


def test_the_same_seed_makes_the_same_pairs() -> None:
    first, second = FactsMaker(FILMS, WORDS, seed=1), FactsMaker(FILMS, WORDS, seed=1)
    assert [first.pair() for _ in range(20)] == [second.pair() for _ in range(20)]
    assert FactsMaker(FILMS, WORDS, seed=2).pair() != FactsMaker(FILMS, WORDS, seed=1).pair()
