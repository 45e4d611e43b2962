from __future__ import annotations

import random
import re

from services.text.training.moderation.rare_kinds import game_talk, group_insults, threats
from services.text.training.moderation.word_list import Entry, WordList

COMMENTS = ("nice weather today", "what a film")
PATTERN = re.compile(r"\bgrobbler\b")
LIST = WordList((Entry("grobbler", PATTERN, frozenset({"racial"}), 3),), PATTERN)


def test_threats_are_as_many_as_asked_for_and_the_same_for_a_seed() -> None:
    made = threats(COMMENTS, 200, random.Random(1))
    assert made == threats(COMMENTS, 200, random.Random(1))
    assert len(made) == 200
    assert any(comment in line for line in made for comment in COMMENTS)
    assert not any("{" in line for line in made)


def test_talk_about_games_leaves_no_gap_open() -> None:
    lines = game_talk(500, random.Random(2))
    assert len(set(lines)) > 300
    assert not any("{" in line or "}" in line for line in lines)
    assert any("kill" in line for line in lines)


def test_an_insult_of_a_group_stands_where_the_offensive_word_stood() -> None:
    made = group_insults([("what a Moron he is", "moron")], LIST, 3, random.Random(3))
    assert made == [("what a grobbler he is", "grobbler")] * 3
