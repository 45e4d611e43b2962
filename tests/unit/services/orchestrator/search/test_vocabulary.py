from __future__ import annotations

import random

import pytest
from rapidfuzz.distance import OSA

from services.orchestrator.search.vocabulary import Vocabulary, slips_allowed


@pytest.mark.parametrize(
    ("word", "slips"),
    [("war", 0), ("heat", 1), ("matrix", 1), ("casablanca", 2), ("1999", 0), ("r2d2x", 0), ("千尋", 0)],
)
def test_longer_words_may_hold_more_slips(word: str, slips: int) -> None:
    assert slips_allowed(word) == slips


def test_near_words_are_exactly_those_within_the_distance() -> None:
    generator = random.Random(3)
    words = {"".join(generator.choices("abcdeéя", k=generator.randint(2, 11))) for _ in range(3_000)}
    vocabulary = Vocabulary(dict.fromkeys(words, 1))
    for word in [*generator.sample(sorted(words), 60), "abcdabcd", "eeee"]:
        slips = slips_allowed(word)
        expected = {other for other in words if 0 < OSA.distance(word, other) <= slips}
        assert {near.word for near in vocabulary.near(word)} == expected


def test_beginnings_come_with_the_most_frequent_first() -> None:
    vocabulary = Vocabulary({"star": 9, "stars": 2, "start": 5, "sta": 1, "stb": 1, "zebra": 1})
    assert vocabulary.beginning_with("sta") == ["star", "start", "stars"]
    assert vocabulary.beginning_with("star", most=1) == ["start"]
    assert vocabulary.beginning_with("zz") == []
    assert Vocabulary({}).near("anything") == []
