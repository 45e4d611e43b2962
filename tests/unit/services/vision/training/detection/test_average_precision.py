"""Average precision against examples that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from services.vision.training.detection.average_precision import (
    THRESHOLDS,
    Answers,
    Objects,
    average_precisions,
    from_scores,
    overlaps,
)

NOTHING = np.zeros((0, 4))


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def objects(*rows: tuple[float, float, float, float], ignored: np.ndarray = NOTHING) -> Objects:
    return Objects(boxes(*rows), np.zeros(len(rows), dtype=np.int64), ignored)


def answers(*rows: tuple[float, float, float, float], scores: tuple[float, ...]) -> Answers:
    return Answers(boxes(*rows), np.zeros(len(rows), dtype=np.int64), np.array(scores))


A, B, FAR = (0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 0.9, 0.9), (0.3, 0.0, 0.4, 0.1)


def test_overlap_is_intersection_over_union() -> None:
    values = overlaps(boxes((0, 0, 2, 2)), boxes((0, 0, 2, 2), (1, 0, 3, 2), (2, 2, 3, 3)))

    assert values[0] == pytest.approx([1, 1 / 3, 0])


def test_right_answers_are_worth_one_and_no_answers_nothing() -> None:
    expected = [objects(A, B)]

    assert average_precisions(expected, [answers(A, B, scores=(0.9, 0.8))], 1) == pytest.approx(np.ones((1, 10)))
    assert average_precisions(expected, [answers(scores=())], 1).tolist() == [[0.0] * 10]


def test_a_mistake_between_costs_what_coco_says() -> None:
    # Found, mistaken, found; one of three objects is missed. Recall .00 to .33 at precision 1, .34 to .66 at 2/3.
    expected = [objects(A, B), objects(A)]
    given = [answers(A, B, scores=(0.9, 0.5)), answers(FAR, scores=(0.7,))]

    assert average_precisions(expected, given, 1)[0, 0] == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_a_box_that_is_a_little_off_counts_up_to_its_overlap() -> None:
    # 0.2 x 0.2 against 0.2 x 0.15: the overlap is .75.
    table = average_precisions([objects(A)], [answers((0.0, 0.0, 0.2, 0.1501), scores=(0.9,))], 1)

    assert table[0].tolist() == [1.0 if threshold <= 0.75 else 0.0 for threshold in THRESHOLDS]


def test_a_double_is_a_mistake() -> None:
    table = average_precisions([objects(A, B)], [answers(A, A, B, scores=(0.9, 0.8, 0.7))], 1)

    assert table[0, 0] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_ignored_box_takes_an_answer_away() -> None:
    expected = [objects(A, ignored=boxes(B))]

    assert average_precisions(expected, [answers(B, A, scores=(0.9, 0.8))], 1)[0, 0] == 1
    assert average_precisions([objects(A)], [answers(B, A, scores=(0.9, 0.8))], 1)[0, 0] == pytest.approx(0.5)


def test_a_class_without_objects_has_no_figure() -> None:
    table = average_precisions([objects(A)], [answers(A, scores=(0.9,))], 2)

    assert table[0, 0] == 1
    assert np.isnan(table[1]).all()


def test_every_pair_of_query_and_class_is_an_answer_best_first() -> None:
    found = from_scores(np.array([[0.1, 0.8], [0.6, 0.2]]), boxes(A, B))

    assert found.scores.tolist() == [0.8, 0.6, 0.2, 0.1]
    assert found.classes.tolist() == [1, 0, 1, 0]
    assert found.boxes.tolist() == boxes(A, B, B, A).tolist()
