from __future__ import annotations

import pytest

from services.orchestrator.content.writing.genres import claims, kind_of, mixed


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ([], ""),
        (["Action"], "an action film"),
        (["Drama"], "a drama"),
        (["Comedy", "Romance"], "a romantic comedy"),
        (["Crime", "Drama"], "a crime drama"),
        (["Action", "Crime"], "an action and crime film"),
        (["Sci-Fi", "Thriller"], "a science fiction thriller"),
        (["Film-Noir"], "a noir film"),
        (["Children's"], "a children's film"),
        (["Action", "Crime", "Thriller"], "a mix of action, crime and thriller"),
        (["heist"], "a heist film"),
        (["BBC"], "a BBC film"),
        (["ужасы"], "a ужасы film"),
        (["sci-fi", "Science Fiction"], "a science fiction film"),
    ],
)
def test_kinds_are_said_in_english(tags: list[str], kind: str) -> None:
    assert kind_of(tags, "film") == kind


def test_a_mix_needs_two() -> None:
    assert mixed(["Drama"]) == ""
    assert mixed(["Drama", "War"]) == "drama and war"


def test_words_claim_genres() -> None:
    found = dict(claims("a hilarious love story with cowboys"))
    assert found["hilarious"] == {"comedy"}
    assert found["love story"] == {"romance"}
    assert found["cowboys"] == {"western"}
    assert not list(claims("a film from 1995"))
