from __future__ import annotations

import random

import pytest

from services.text.training.moderation import evasions_held_out, evasions_seen
from services.text.training.moderation.evasion import NAMES, evade, seen_names

ALL = {**evasions_seen.TRANSFORMS, **evasions_held_out.TRANSFORMS}
WORDS = ("fool", "stupid", "idiot", "hat", "rhythm")


def test_the_halves_are_the_draw() -> None:
    assert set(evasions_seen.TRANSFORMS) == seen_names()
    assert set(evasions_held_out.TRANSFORMS) == set(NAMES) - seen_names()


@pytest.mark.parametrize("name", NAMES)
def test_a_disguise_changes_every_word_and_the_same_way_for_a_seed(name: str) -> None:
    for word in WORDS:
        once, again = (ALL[name](word, random.Random(3)) for _ in range(2))
        assert once == again != word


def test_only_whole_words_that_are_named_are_disguised() -> None:
    text = evade("A Fool and foolish fool.", {"fool"}, lambda word, _: word[::-1], random.Random(0))
    assert text == "A looF and foolish loof."
