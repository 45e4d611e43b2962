"""Faces in pictures and what they show: one network finds them, another looks at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from marquee.common.v1 import media_pb2, report_pb2
from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.model_service import ModelService, model_report
from services.runtime.repository.requested import RequestedModels
from services.runtime.request_context import CallContext, RequestContext, current_request, enter_request
from services.runtime.validation import Violations
from services.vision.faces_permission import require_faces_allowed, tenants_of
from services.vision.pipelines.face_detection import (
    DEFAULT_FACES,
    DEFAULT_SCORE,
    MAXIMUM_FACES,
    FaceDetectionPipeline,
    FaceQuery,
    PictureFaces,
)
from services.vision.pipelines.face_expression import FaceExpressionPipeline, expression_labels
from services.vision.pipelines.picture_pipeline import Floats
from services.vision.pipelines.picture_request import check_images
from services.vision.settings import VisionSettings


@dataclass(frozen=True)
class ExpressionsFound:
    """What the faces of some pictures show.

    Attributes:
        labels: for each picture the names of its faces' expressions, most probable first.
        report: what answered; None when there was no face.
    """

    labels: list[list[list[media_pb2.MediaLabel]]]
    report: report_pb2.ModelReport | None


class FaceAnalysis:
    """Answers DetectFaces. Nothing of a picture is kept: no answer goes into the response cache.

    Args:
        service: where the models serve.
        settings: who may ask, and the models' names.
    """

    def __init__(self, service: ModelService, settings: VisionSettings) -> None:
        self._plane = service.plane
        self._allowed = tenants_of(settings.faces_tenants)
        self._faces = RequestedModels(service.models, FaceDetectionPipeline, settings.default_faces_model)
        self._expressions = RequestedModels(service.models, FaceExpressionPipeline, settings.default_expressions_model)

    async def answer(self, request: pb.DetectFacesRequest, context: CallContext) -> pb.DetectFacesResponse:
        """Find the faces of each picture; refuse before anything is decoded where the operator does not allow it."""
        require_faces_allowed(self._allowed)
        check = Violations()
        check_images(check, request.images)
        score = request.minimum_score if request.HasField("minimum_score") else DEFAULT_SCORE
        check.within("minimum_score", score, 0.0, 1.0)
        count = check.size("top_count", request.top_count, default=DEFAULT_FACES, maximum=MAXIMUM_FACES)
        check.raise_if_any()
        serving, pipeline = await self._faces.get("")
        # Both models are there before any work is done.
        side = (await self._expressions.get(""))[1].side if request.expressions else 0
        found, timings = await self._plane.infer(
            pipeline, FaceQuery(request.images, score, count, side), model=serving.identity
        )
        reply = pb.DetectFacesResponse(report=model_report(serving, timings))
        expressions = await self.expressions(found) if request.expressions else None
        for index, faces in enumerate(found):
            shown = expressions.labels[index] if expressions else ()
            reply.results.add(faces=detected_faces(faces, shown), width=faces.width, height=faces.height)
        if expressions is not None and expressions.report is not None:
            reply.expression_report.CopyFrom(expressions.report)
        return reply

    async def expressions(self, found: Sequence[PictureFaces]) -> ExpressionsFound:
        """Say what faces show that were found with squares of the side that the expression network takes."""
        counts = [len(faces.scores) for faces in found]
        if not sum(counts):
            return ExpressionsFound([[] for _ in found], None)
        serving, pipeline = await self._expressions.get("")
        call = current_request()
        # Its waiting time begins here, not with the search for the faces.
        enter_request(RequestContext(call.request_id, call.tenant, call.deadline, priority=call.priority))
        current_request().span = call.span
        crops = numpy.concatenate([faces.crops for faces in found if len(faces.crops)])
        try:
            probabilities, timings = await self._plane.infer(pipeline, crops, model=serving.identity)
        finally:
            enter_request(call)
        rows: list[Floats] = numpy.split(probabilities, numpy.cumsum(counts)[:-1])
        labels = [[expression_labels(row, pipeline.labels) for row in part] for part in rows]
        return ExpressionsFound(labels, model_report(serving, timings))


def detected_faces(
    faces: PictureFaces, expressions: Sequence[Sequence[media_pb2.MediaLabel]] = ()
) -> list[media_pb2.DetectedFace]:
    """Return the faces of one picture as they are answered, with what each shows where that is known."""
    answered = []
    for index, (score, box, points) in enumerate(zip(faces.scores, faces.boxes, faces.points, strict=True)):
        left, top, right, bottom = box.tolist()
        answered.append(
            media_pb2.DetectedFace(
                box=media_pb2.Box(left=left, top=top, right=right, bottom=bottom),
                score=min(1.0, float(score)),
                landmarks=[media_pb2.MediaPoint(x=x, y=y) for x, y in numpy.clip(points, 0.0, 1.0).tolist()],
                expressions=expressions[index] if expressions else (),
            )
        )
    return answered
