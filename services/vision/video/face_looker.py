"""Faces of sampled frames and what they show, by the models that answer DetectFaces."""

from __future__ import annotations

from collections.abc import Sequence

from marquee.common.v1 import media_pb2, report_pb2
from services.runtime.data_plane import DataPlane
from services.runtime.repository.serving import ServingModel
from services.vision.faces import detected_faces
from services.vision.pipelines.face_detection import FaceDetectionPipeline, FaceQuery
from services.vision.pipelines.face_expression import FaceExpressionPipeline, expression_labels
from services.vision.pipelines.image_decoding import DecodedPicture
from services.vision.video.lookers import Looker, PictureLooker


class FaceLooker(PictureLooker):
    """Faces of the first frame of the second. Nothing of them is kept.

    Args:
        plane: where the models run.
        serving: version of the detector.
        pipeline: its pipeline.
        expressions: version of the expression model and its pipeline.
    """

    def __init__(
        self,
        plane: DataPlane,
        serving: ServingModel,
        pipeline: FaceDetectionPipeline,
        expressions: tuple[ServingModel, FaceExpressionPipeline],
    ) -> None:
        super().__init__(plane, serving)
        self._pipeline = pipeline
        self._expressions = Looker(plane, expressions[0])
        self._expression_pipeline = expressions[1]

    def reports(self) -> list[report_pb2.ModelReport]:
        """Return what found the faces, and what named their expressions if there were any."""
        expressions = self._expressions.report
        return [self.report, expressions] if expressions.compute_microseconds else [self.report]

    async def look(self, pictures: Sequence[DecodedPicture], segment: media_pb2.VideoSegment) -> None:
        """See `PictureLooker`."""
        query = FaceQuery(pictures[:1], crop_side=self._expression_pipeline.side)
        (found,) = await self.infer(self._pipeline, query)
        if not len(found.scores):
            return
        probabilities = await self._expressions.infer(self._expression_pipeline, found.crops)
        shown = [expression_labels(row, self._expression_pipeline.labels) for row in probabilities]
        segment.faces.extend(detected_faces(found, shown))
