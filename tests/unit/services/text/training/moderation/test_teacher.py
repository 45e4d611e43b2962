from __future__ import annotations

import re

import numpy as np
import pytest

from services.runtime.training.comment_svm import SvmParts, word_values
from services.text.training.moderation.teacher import CATEGORIES, Teacher
from services.text.training.moderation.word_list import Entry, WordList

WORDS = {"lovely": 0, "idiot": 1, "kill": 2, "the": 3}
SVM = SvmParts(
    words=WORDS,
    idf=np.array([2.0, 8.0, 4.0, 1.0]),
    stop_words=frozenset({"the"}),
    weights=np.tile(np.array([-4.0, 5.0, 2.0, 9.0]), (5, 1)),
    intercepts=np.full(5, -0.5),
    slopes=np.full(5, -1.0),
    offsets=np.zeros(5),
)
SWEARING = re.compile(r"\bdrat\b", re.IGNORECASE)
TEACHER = Teacher(SVM, WordList((Entry("drat", SWEARING, frozenset({"general"}), 2),), SWEARING))


def test_words_of_a_text_are_weighed_together_to_length_one() -> None:
    values = word_values(WORDS, SVM.idf, SVM.stop_words, ["idiot", "idiot", "lovely", "the", "unheard"])
    assert set(values) == {0, 1}
    assert sum(value**2 for value in values.values()) == pytest.approx(1)
    assert values[1] / values[0] == pytest.approx(2 * 8 / 2)
    assert word_values(WORDS, SVM.idf, SVM.stop_words, []) == {}


def test_a_text_is_as_toxic_as_its_words_say() -> None:
    assert TEACHER.probability("you idiot") > 0.9
    assert TEACHER.probability("how lovely") < 0.1
    assert TEACHER.probability("") == pytest.approx(1 / (1 + np.exp(0.5)))


def test_words_that_weigh_much_or_are_listed_are_worth_hiding() -> None:
    assert TEACHER.offensive_words("Drat, the IDIOT is lovely") == {"drat", "idiot"}
    assert TEACHER.heavy_words() == {"idiot"}
    assert TEACHER.weight("the") == 0
    assert TEACHER.weight("unheard") == 0


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("what a lovely day", set()),
        ("you idiot", {"toxic", "insult"}),
        ("drat, idiot", {"toxic", "profanity"}),
        ("i will kill you", {"toxic", "insult", "threat"}),
        ("they will kill the boss", {"toxic", "threat", "insult"}),
    ],
)
def test_kinds_come_from_the_list_and_from_patterns(text: str, kinds: set[str]) -> None:
    targets = dict(zip(CATEGORIES, TEACHER.categories(text), strict=True))
    assert {name for name, target in targets.items() if target >= 0.5} == kinds
