from __future__ import annotations

import pytest

from services.orchestrator.content.writing.grammar import capitalised, counted, ended, listed, plural, with_article


@pytest.mark.parametrize(
    ("phrase", "article"),
    [
        ("action title", "an"),
        ("comedy", "a"),
        ("hour", "an"),
        ("unicorn story", "a"),
        ("umbrella", "an"),
        ("IMAX film", "an"),
        ("RPG", "an"),
        ("1995 film", "a"),
        ("18th film", "an"),
        ("1800 film", "an"),
        ("8 film", "an"),
    ],
)
def test_articles_follow_the_sound(phrase: str, article: str) -> None:
    assert with_article(phrase) == f"{article} {phrase}"


def test_lists_plurals_and_counts() -> None:
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == (
        "",
        "a",
        "a and b",
        "a, b and c",
    )
    plurals = {"film": "films", "story": "stories", "play": "plays", "series": "series", "match": "matches"}
    assert {noun: plural(noun) for noun in plurals} == plurals
    assert (counted(1, "review"), counted(1234, "review")) == ("1 review", "1,234 reviews")


def test_sentences_begin_and_end_once() -> None:
    assert capitalised("ran is a film") == "Ran is a film"
    assert ended("Try Fame Inc..") == "Try Fame Inc."
    assert ended("Who's There?.") == "Who's There?"
