from __future__ import annotations

import pytest

from services.orchestrator.content.analysis import MOST_SENTENCES, label_of, sentences_in


def test_sentences_are_taken_apart_and_signs_are_none() -> None:
    assert sentences_in("Good start. Bad end!  Really?\n") == ["Good start.", "Bad end!", "Really?"]
    assert sentences_in("no end") == ["no end"]
    assert sentences_in("!!! ??") == []


def test_very_many_sentences_are_counted_together_and_none_is_lost() -> None:
    found = sentences_in("Fine. " * 100)
    assert len(found) == MOST_SENTENCES
    assert " ".join(found) == " ".join(["Fine."] * 100)


@pytest.mark.parametrize(
    ("score", "parts", "label"),
    [
        (0.7, [0.7], "positive"),
        (-0.7, [-0.7], "negative"),
        (0.05, [0.05], "neutral"),
        (0.05, [0.8, -0.7], "mixed"),
        (-0.15, [0.5, -0.6], "mixed"),
        (0.05, [0.3, -0.05], "neutral"),
        (0.6, [0.9, -0.3], "positive"),
    ],
)
def test_mixed_is_much_of_both(score: float, parts: list[float], label: str) -> None:
    assert label_of(score, parts) == label
