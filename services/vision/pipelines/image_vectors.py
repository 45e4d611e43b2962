"""Pictures to vectors, by a network that names nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from services.runtime.repository.loader import LoadedModel
from services.vision.pipelines.image_decoding import ImageLimits
from services.vision.pipelines.image_recognition import Recognition
from services.vision.pipelines.picture_pipeline import Outputs, PicturePipeline

TASK = "image-vectors"


class ImageVectorsPipeline(PicturePipeline[Recognition]):
    """One network whose features serve as vectors."""

    outputs: ClassVar[tuple[str, ...]] = ("vectors",)

    def __init__(self, model: LoadedModel, limits: ImageLimits) -> None:
        super().__init__(model, limits)
        self.dimensions = next(output.shape[-1] for output in model.manifest.outputs if output.name == "vectors")

    def reply(self, outputs: Outputs, shown: Sequence[tuple[int, int]]) -> Recognition:
        """Return the vectors, and probabilities of no class; see `PicturePipeline.reply`."""
        (vectors,) = outputs
        return Recognition(vectors[:, :0], vectors)
