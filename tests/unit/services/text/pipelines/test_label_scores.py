from __future__ import annotations

import numpy
import pytest

from services.runtime.errors import InvalidRequest
from services.runtime.validation import Violations
from services.text.pipelines.label_scores import check_labels, classify


def test_labels_come_best_first_with_their_cosines() -> None:
    vectors = numpy.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0]], numpy.float32)
    first, second = classify(vectors, ["mixed", "pure"], top_count=2, cut=[False, True])
    assert [(one.label, round(one.score, 4)) for one in first.labels] == [("pure", 1.0), ("mixed", 0.6)]
    assert [(one.label, round(one.score, 4)) for one in second.labels] == [("mixed", 0.8), ("pure", 0.0)]


def test_equal_scores_keep_the_callers_order() -> None:
    labels = [f"label-{number}" for number in range(100)]
    scores = [number % 3 / 2 for number in range(100)]
    vectors = numpy.array([[1, 0], *([score, 0] for score in scores)], numpy.float32)
    (result,) = classify(vectors, labels, top_count=100, cut=[False])
    assert [one.label for one in result.labels] == [*labels[2::3], *labels[1::3], *labels[0::3]]


@pytest.mark.parametrize(("asked", "given"), [(0, 3), (2, 2), (3, 3), (2**31 - 1, 3)])
def test_the_number_of_labels_is_coerced_to_what_there_is(asked: int, given: int) -> None:
    check = Violations()
    assert check_labels(check, ["a", "b", "c"], asked) == given
    check.raise_if_any()


def test_zero_means_five() -> None:
    assert check_labels(Violations(), [str(number) for number in range(9)], 0) == 5


def test_every_bad_label_is_named() -> None:
    check = Violations()
    check_labels(check, ["a", "", " ", "x" * 201, "a"], -1)
    with pytest.raises(InvalidRequest) as refused:
        check.raise_if_any()
    assert [violation.field for violation in refused.value.violations] == [
        "labels[1]",
        "labels[2]",
        "labels[3]",
        "labels[4]",
        "top_count",
    ]
