"""Pictures to class probabilities and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy

from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.image_decoding import ImageLimits
from services.vision.pipelines.picture_pipeline import Floats, Outputs, PicturePipeline

TASK = "image-recognition"


@dataclass(frozen=True)
class Recognition:
    """float32[N, classes] probabilities and float32[N, D] unit vectors, in the order of the pictures."""

    probabilities: Floats
    vectors: Floats


class ImageRecognitionPipeline(PicturePipeline[Recognition]):
    """One image classification network; its pooled features serve as vectors."""

    outputs: ClassVar[tuple[str, ...]] = ("probabilities", "vectors")

    def __init__(self, model: LoadedModel, limits: ImageLimits) -> None:
        super().__init__(model, limits)
        self.dimensions = next(output.shape[-1] for output in model.manifest.outputs if output.name == "vectors")

    def reply(self, outputs: Outputs, shown: Sequence[tuple[int, int]]) -> Recognition:
        """Return probabilities and vectors; see `PicturePipeline.reply`."""
        probabilities, vectors = outputs
        return Recognition(probabilities, vectors)


def top_labels(probabilities: Floats, labels: Sequence[str], count: int) -> pb.ImageClassification:
    """Return the `count` most probable labels of one picture from its float32[classes] probabilities."""
    order = numpy.argsort(-probabilities, kind="stable")[:count]
    return pb.ImageClassification(
        labels=[
            pb.ImageLabel(label=labels[index], class_index=int(index), probability=float(probabilities[index]))
            for index in order
        ]
    )
