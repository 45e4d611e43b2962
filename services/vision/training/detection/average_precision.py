"""Mean average precision as COCO measures it: 101 recall points, IoU .50, .55, ... .95, at most 100 answers a picture.

Answers are paired with objects by falling score, each with the free object that it overlaps most. As in COCO, an
ignored box (here too small, hidden or dark) takes answers away without counting them, whatever their class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
MOST_ANSWERS = 100
_RECALLS = np.linspace(0, 1, 101)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Objects:
    """What is in one picture: boxes float[N, 4] (x0, y0, x1, y1), classes int[N], ignored boxes float[M, 4]."""

    boxes: Array
    classes: Array
    ignored: Array


@dataclass(frozen=True)
class Answers:
    """What a detector says of one picture: boxes float[K, 4], classes int[K], scores float[K]."""

    boxes: Array
    classes: Array
    scores: Array


def from_scores(scores: Array, boxes: Array) -> Answers:
    """Returns the best 100 pairs of a query and a class, from scores float[Q, C] and boxes float[Q, 4]."""
    flat = scores.reshape(-1)
    best = np.argsort(-flat, kind="stable")[:MOST_ANSWERS]
    queries, classes = np.divmod(best, scores.shape[1])
    return Answers(boxes[queries], classes, flat[best])


def overlaps(first: Array, second: Array) -> Array:
    """Returns float[N, M], the intersection over the union of boxes float[N, 4] and float[M, 4]."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (opposite - corner).clip(0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12))


def average_precisions(expected: Sequence[Objects], answers: Sequence[Answers], classes: int) -> Array:
    """Returns float[classes, 10], the average precision of each class at each threshold; NaN where it has no object."""
    result = np.full((classes, len(THRESHOLDS)), np.nan)
    for number in range(classes):
        scores: list[Array] = []
        verdicts: list[Array] = []
        total = 0
        for objects, answer in zip(expected, answers, strict=True):
            chosen = answer.classes == number
            order = np.argsort(-answer.scores[chosen], kind="stable")
            boxes = objects.boxes[objects.classes == number]
            total += len(boxes)
            scores.append(answer.scores[chosen][order])
            verdicts.append(_verdicts(answer.boxes[chosen][order], boxes, objects.ignored))
        if total:
            result[number] = _precisions(np.concatenate(scores), np.concatenate(verdicts, axis=1), total)
    return result


def _verdicts(answers: Array, boxes: Array, ignored: Array) -> Array:
    """Returns int[10, K]: 1 found an object, 0 a mistake, -1 not counted; the answers come by falling score."""
    verdicts = np.zeros((len(THRESHOLDS), len(answers)), dtype=np.int8)
    with_objects, with_ignored = overlaps(answers, boxes), overlaps(answers, ignored)
    for level, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(boxes), dtype=bool)
        for number in range(len(answers)):
            candidates = np.where(free, with_objects[number], 0.0)
            best = int(candidates.argmax()) if len(candidates) else -1
            if best >= 0 and candidates[best] >= threshold:
                free[best] = False
                verdicts[level, number] = 1
            elif len(ignored) and with_ignored[number].max() >= threshold:
                verdicts[level, number] = -1
    return verdicts


def _precisions(scores: Array, verdicts: Array, total: int) -> Array:
    order = np.argsort(-scores, kind="mergesort")
    result = np.zeros(len(verdicts))
    for level, row in enumerate(verdicts[:, order]):
        counted = row[row >= 0]
        found = counted.cumsum(dtype=np.int64)
        recall, precision = found / total, found / np.arange(1, len(counted) + 1)
        # Precision at a recall is the best at that recall or beyond.
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(recall, _RECALLS, side="left")
        result[level] = np.where(
            places < len(envelope), np.append(envelope, 0.0)[places.clip(0, len(envelope))], 0
        ).mean()
    return result
