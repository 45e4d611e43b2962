from __future__ import annotations

import pytest

from services.text.training.moderation.lookalikes import resembles

WORDS = frozenset({"anal", "idiot", "hell", "poof"})
SLIPS = {word[:place] + word[place + 1 :] for word in WORDS for place in range(len(word))}


@pytest.mark.parametrize("word", ["banal", "spoof", "bombshell", "hello", "idoit", "idiom", "lana", "helm", "helll"])
def test_words_that_a_reader_of_disguises_could_mistake_are_kept(word: str) -> None:
    assert resembles(word, WORDS, SLIPS)


@pytest.mark.parametrize("word", ["wonder", "table", "orchestra"])
def test_other_words_are_not(word: str) -> None:
    assert not resembles(word, WORDS, SLIPS)
