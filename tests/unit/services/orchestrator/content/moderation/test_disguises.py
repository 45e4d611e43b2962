from __future__ import annotations

import time

import pytest

from services.orchestrator.content.moderation.disguises import LONGEST_TOKEN, read_disguise
from services.orchestrator.content.moderation.lexicon import load_lexicon

LEXICON = load_lexicon()


@pytest.mark.parametrize(
    ("token", "word"),
    [
        ("1d1ot", "idiot"),
        ("i-d-i-o-t", "idiot"),
        ("i_d_i_o_t!!!", "idiot"),
        ("iddiiot", "idiot"),
        ("st*pid", "stupid"),
        ("stpd", "stupid"),
        ("diputs", "stupid"),
        ("stupdi", "stupid"),
        ("xxidiot", "idiot"),
        ("5tup1d", "stupid"),
        ("st*pid's", "stupid"),
        ("shit*ing", "shitting"),
        ("dumb-id1ot", "idiot"),
    ],
)
def test_a_disguise_is_read_as_the_word_behind_it(token: str, word: str) -> None:
    assert read_disguise(token, LEXICON) == word


@pytest.mark.parametrize(
    "token",
    [
        "hello",
        "scunthorpe",
        "cocktail",
        "assassin's",
        "therapist",
        "arsenal",
        "hancock",
        "shitake",
        "dickens",
        "cummings",
        "phuket",
        "noob",
        "10/10",
        "3-0",
        "2:1",
        "c++",
        "f(x)",
        "a*b",
        "8-)",
        ":-(",
        "#1",
        "o_o",
        "www.example.com",
        "mp3",
        "h2o",
        "b2b",
        "k-pop",
        "x-ray",
        "s.t.a.l.k.e.r.",
        "nguyen",
        "fuchs",
        "kuntz",
        "takeshita",
        "dong-hyun",
        "szymanski",
        "bhagat",
        "assange",
        "titsworth",
        "buttigieg",
        "he'll",
        "he\u2019ll,",
        "banal",
        "spoof",
        "cocoon",
        "lampoon's",
        "screwball",
        "blow-up",
        "fork/spoon",
        "cockburn",
        "impostor",
    ],
)
def test_words_names_scores_and_signs_are_no_disguise(token: str) -> None:
    assert read_disguise(token, LEXICON) is None


@pytest.mark.parametrize(
    "token", ["aabb" * 16, "a1" * 32, "l|1" * 21, "fu1ck" * 12, "f" + "*" * 62, "xq" * 32, "1!@" * 21, "(" * 64]
)
def test_the_work_on_a_token_is_bounded(token: str) -> None:
    assert len(token) <= LONGEST_TOKEN
    begun = time.process_time()
    read_disguise(token, LEXICON)
    assert time.process_time() - begun < 0.05
