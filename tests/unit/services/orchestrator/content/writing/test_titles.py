from __future__ import annotations

import pytest

from services.orchestrator.content.writing.titles import LONGEST, read_title, shortened, visible


@pytest.mark.parametrize(
    ("written", "name", "year"),
    [
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", "The City of Lost Children", 1995),
        ("Postino, Il (1994)", "Il Postino", 1994),
        ("Avventura, L' (1960)", "L'Avventura", 1960),
        ("Seven (a.k.a. Se7en) (1995)", "Seven", 1995),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("1984", "1984", 0),
        ("2001: A Space Odyssey", "2001: A Space Odyssey", 0),
        ("(1999)", "(1999)", 0),
        ("Heat", "Heat", 0),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly", 0),
        ("\u202eHe\u200bat\x00\n(19\u200b95)", "Heat", 1995),
        ("\u200b\u200b", "an untitled item", 0),
    ],
)
def test_titles_are_said_as_people_say_them(written: str, name: str, year: int) -> None:
    title = read_title(written)
    assert (title.name, title.year) == (name, year)


def test_other_names_are_kept() -> None:
    assert "Se7en" in read_title("Seven (a.k.a. Se7en) (1995)").others
    assert "La Cité des enfants perdus" in read_title("City, The (Cité des enfants perdus, La)").others


def test_a_long_title_is_cut_between_words() -> None:
    title = read_title("word " * 100)
    assert len(title.name) <= LONGEST
    assert title.name.endswith("word…")
    assert shortened("x" * 50, 10) == "xxxxxxxxx…"


def test_what_cannot_be_seen_is_taken_out() -> None:
    assert visible("a\u0301b\u200bc\td\u202e e") == "áb" + "c d e"
