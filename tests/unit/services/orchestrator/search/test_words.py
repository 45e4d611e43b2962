from __future__ import annotations

import pytest

from services.orchestrator.search.words import query_words, terms_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Matrix, The (1999)", ["matrix", "the", "1999"]),
        ("AMÉLIE", ["amelie"]),
        ("Straße", ["strasse"]),
        ("Ｂｌａｄｅ　Ｒｕｎｎｅｒ", ["blade", "runner"]),
        ("𝓗𝓮𝓪𝓽", ["heat"]),
        ("don't", ["dont"]),
        ("don\u2019t", ["dont"]),
        ("he\u200bat\u00ad", ["heat"]),
        ("\u202eheat\u202c", ["heat"]),
        ("he\u0000at", ["heat"]),
        ("e\u0301te\u0301", ["ete"]),
        ("Łódź", ["lodz"]),
        ("올드보이 2003", ["올드보이", "2003"]),
        ("Андрей Рублёв", ["андреи", "рублев"]),
        ("🎉 party", ["🎉", "party"]),
        ("...!?", []),
        ("", []),
    ],
)
def test_words_are_compared_without_what_people_leave_out(text: str, words: list[str]) -> None:
    assert [word.text for word in words_of(text)] == words


def test_scripts_without_spaces_become_pairs() -> None:
    assert [word.text for word in words_of("七人の侍")] == ["七", "七人", "人", "人の", "の", "の侍", "侍"]
    assert [word.text for word in query_words("七人の侍")] == ["七人", "人の", "の侍"]
    assert [word.text for word in query_words("侍")] == ["侍"]


def test_a_hyphen_joins() -> None:
    assert terms_of("Spider-Man 2") == ["spider", "man", "2", "spiderman"]


@pytest.mark.parametrize("text", ["The Matrix", "Amélie's Ｓpider-Man (2002)", "a\u200bb c", "🎬 千と千尋"])
def test_places_are_those_of_the_original(text: str) -> None:
    for word in words_of(text):
        assert [found.text for found in query_words(text[word.start : word.end])] == [word.text]
