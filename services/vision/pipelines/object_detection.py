"""Pictures to objects: what and where, by a network that answers a fixed number of queries (Carion et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy

from marquee.common.v1 import media_pb2
from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.image_decoding import ImageLimits
from services.vision.pipelines.picture_pipeline import Floats, Outputs, PicturePipeline

TASK = "object-detection"
DEFAULT_SCORE = 0.5
DEFAULT_OBJECTS, MAXIMUM_OBJECTS = 50, 300


@dataclass(frozen=True)
class Detections:
    """What the queries of a detector say of pictures, in their order.

    Attributes:
        scores: float32[N, queries, classes], 0 to 1; what is missing from the sum of a query is "no object".
        boxes: float32[N, queries, 4], left, top, right and bottom in parts of the picture as shown.
        shown: width and height of each picture as shown, in pixels.
    """

    scores: Floats
    boxes: Floats
    shown: Sequence[tuple[int, int]]


class ObjectDetectionPipeline(PicturePipeline[Detections]):
    """One detection network that sees the whole picture, so that its boxes are parts of that."""

    outputs: ClassVar[tuple[str, ...]] = ("scores", "boxes")

    def __init__(self, model: LoadedModel, limits: ImageLimits) -> None:
        super().__init__(model, limits)
        if model.manifest.limits.get("resize_side"):
            raise ValueError("a detector sees the whole picture, so resize_side must be 0 or missing")
        classes = next(output.shape[-1] for output in model.manifest.outputs if output.name == "scores")
        if classes != len(self.labels):
            raise ValueError(f"there are scores for {classes} classes and {len(self.labels)} labels")

    def reply(self, outputs: Outputs, shown: Sequence[tuple[int, int]]) -> Detections:
        """Return scores and boxes; see `PicturePipeline.reply`."""
        scores, boxes = outputs
        return Detections(scores, boxes, shown)


def best_objects(
    scores: Floats, boxes: Floats, labels: Sequence[str], minimum_score: float, count: int
) -> list[media_pb2.DetectedObject]:
    """Return the objects of one picture, surest first.

    A query stands for one object, that of its best class: no two answers are the same region under two names.

    Args:
        scores: float32[queries, classes].
        boxes: float32[queries, 4]; what lies outside of the picture is cut off.
        labels: names of the classes.
        minimum_score: least score, included.
        count: at most this many.
    """
    classes = scores.argmax(axis=1)
    best = scores[numpy.arange(len(scores)), classes]
    clipped = numpy.clip(boxes, 0.0, 1.0)
    clipped[:, 2:] = numpy.maximum(clipped[:, :2], clipped[:, 2:])
    # The request's number is a float32 as the scores are, so that a score is never below itself.
    order = [query for query in numpy.argsort(-best, kind="stable") if best[query] >= numpy.float32(minimum_score)]
    return [
        media_pb2.DetectedObject(
            label=labels[classes[query]],
            score=min(1.0, float(best[query])),
            box=media_pb2.Box(**dict(zip(("left", "top", "right", "bottom"), clipped[query].tolist(), strict=True))),
        )
        for query in order[:count]
    ]
