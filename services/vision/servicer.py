"""`VisionService`: from RPC to pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from marquee.common.v1 import vector_pb2
from marquee.vision.v1 import video_pb2, vision_service_pb2_grpc
from marquee.vision.v1 import vision_service_pb2 as pb
from services.runtime.bundles.candidates import generate_candidates
from services.runtime.model_service import ModelService, model_report
from services.runtime.repository.requested import RequestedModels
from services.runtime.request_context import CallContext
from services.runtime.validation import Violations
from services.vision.faces import FaceAnalysis
from services.vision.pipelines.image_recognition import ImageRecognitionPipeline, top_labels
from services.vision.pipelines.image_screening import ImageScreeningPipeline
from services.vision.pipelines.image_vectors import ImageVectorsPipeline
from services.vision.pipelines.object_detection import (
    DEFAULT_OBJECTS,
    DEFAULT_SCORE,
    MAXIMUM_OBJECTS,
    ObjectDetectionPipeline,
    best_objects,
)
from services.vision.pipelines.picture_request import check_images, images_key
from services.vision.settings import VisionSettings
from services.vision.video.servicer import VideoAnalysis

DEFAULT_TOP = 5
MAXIMUM_TOP = 100


class VisionServicer(vision_service_pb2_grpc.VisionServiceServicer):
    """Answers with the models of one vision service."""

    def __init__(self, service: ModelService, settings: VisionSettings) -> None:
        self._service = service
        models = service.models
        self.video = VideoAnalysis(service, settings)
        self.faces = FaceAnalysis(service, settings)
        self._recognition = RequestedModels(models, ImageRecognitionPipeline, settings.default_model)
        self._vectors = RequestedModels[ImageRecognitionPipeline | ImageVectorsPipeline](
            models, (ImageRecognitionPipeline, ImageVectorsPipeline), settings.default_model
        )
        self._objects = RequestedModels(models, ObjectDetectionPipeline, settings.default_objects_model)
        self._screening = RequestedModels(models, ImageScreeningPipeline, settings.default_screening_model)

    async def ClassifyImage(self, request: pb.ClassifyImageRequest, context: CallContext) -> pb.ClassifyImageResponse:
        """Name what is in each picture."""
        check = Violations()
        check_images(check, request.images)
        top_count = check.size("top_count", request.top_count, default=DEFAULT_TOP, maximum=MAXIMUM_TOP)
        check.raise_if_any()
        serving, pipeline = await self._recognition.get(request.model)
        found, timings = await self._service.plane.infer(
            pipeline, request.images, model=serving.identity, cache_key=lambda: images_key(request.images)
        )
        return pb.ClassifyImageResponse(
            results=[top_labels(row, pipeline.labels, top_count) for row in found.probabilities],
            report=model_report(serving, timings),
        )

    async def EmbedImage(self, request: pb.EmbedImageRequest, context: CallContext) -> pb.EmbedImageResponse:
        """Return one vector of length one for each picture."""
        check = Violations()
        check_images(check, request.images)
        check.raise_if_any()
        serving, pipeline = await self._vectors.get(request.model)
        found, timings = await self._service.plane.infer(
            pipeline, request.images, model=serving.identity, cache_key=lambda: images_key(request.images)
        )
        return pb.EmbedImageResponse(
            vectors=[vector_pb2.Vector(values=vector.astype("<f4", copy=False).tobytes()) for vector in found.vectors],
            dimensions=pipeline.dimensions,
            report=model_report(serving, timings),
        )

    async def DetectObjects(self, request: pb.DetectObjectsRequest, context: CallContext) -> pb.DetectObjectsResponse:
        """Find objects in each picture."""
        check = Violations()
        check_images(check, request.images)
        score = request.minimum_score if request.HasField("minimum_score") else DEFAULT_SCORE
        check.within("minimum_score", score, 0.0, 1.0)
        count = check.size("top_count", request.top_count, default=DEFAULT_OBJECTS, maximum=MAXIMUM_OBJECTS)
        check.raise_if_any()
        serving, pipeline = await self._objects.get(request.model)
        found, timings = await self._service.plane.infer(
            pipeline, request.images, model=serving.identity, cache_key=lambda: images_key(request.images)
        )
        return pb.DetectObjectsResponse(
            results=[
                pb.ImageObjects(
                    objects=best_objects(scores, boxes, pipeline.labels, score, count), width=width, height=height
                )
                for scores, boxes, (width, height) in zip(found.scores, found.boxes, found.shown, strict=True)
            ],
            report=model_report(serving, timings),
        )

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: CallContext) -> pb.DetectFacesResponse:
        """Find faces in each picture, and what they show."""
        return await self.faces.answer(request, context)

    async def ScreenImage(self, request: pb.ScreenImageRequest, context: CallContext) -> pb.ScreenImageResponse:
        """Say how probably each picture is not safe for work."""
        check = Violations()
        check_images(check, request.images)
        check.raise_if_any()
        serving, pipeline = await self._screening.get(request.model)
        found, timings = await self._service.plane.infer(
            pipeline, request.images, model=serving.identity, cache_key=lambda: images_key(request.images)
        )
        return pb.ScreenImageResponse(
            results=[pb.ImageScreening(unsafe_probability=probability) for probability in found.tolist()],
            report=model_report(serving, timings),
        )

    async def AnalyzeVideo(
        self, requests: AsyncIterator[video_pb2.AnalyzeVideoRequest], context: CallContext
    ) -> AsyncIterator[video_pb2.AnalyzeVideoResponse]:
        """Say what happens in a video while it arrives."""
        async with aclosing(self.video.answer(requests, context)) as responses:
            async for response in responses:
                yield response

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: CallContext
    ) -> pb.GenerateCandidatesResponse:
        """Return candidates by the picture vectors of a bundle's items."""
        candidates = await generate_candidates(self._service.plane, self._service.candidates, request.query)
        return pb.GenerateCandidatesResponse(candidates=candidates)
