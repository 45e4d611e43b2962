"""Start the vision service: `python -m services.vision.main`."""

from __future__ import annotations

from functools import partial

import grpc

from marquee.vision.v1 import vision_service_pb2_grpc
from services.runtime.model_service import ModelService
from services.runtime.repository.serving import PipelineFactory
from services.runtime.server import ServiceDefinition, run_service
from services.runtime.startup import read_settings
from services.vision.faces_permission import require_faces_allowed, tenants_of
from services.vision.pipelines import (
    face_detection,
    face_expression,
    image_recognition,
    image_screening,
    image_vectors,
    object_detection,
    video_events,
)
from services.vision.pipelines.image_decoding import ImageLimits
from services.vision.servicer import VisionServicer
from services.vision.settings import VisionSettings

CONTRACT = "marquee.vision.v1.VisionService"


def build(settings: VisionSettings) -> ServiceDefinition:
    """Put the service together; nothing is loaded yet."""
    limits = ImageLimits(max_bytes=settings.maximum_image_bytes, max_pixels=settings.maximum_image_pixels)
    pipelines: dict[str, PipelineFactory] = {
        image_recognition.TASK: lambda model: image_recognition.ImageRecognitionPipeline(model, limits),
        image_vectors.TASK: lambda model: image_vectors.ImageVectorsPipeline(model, limits),
        object_detection.TASK: lambda model: object_detection.ObjectDetectionPipeline(model, limits),
        face_detection.TASK: lambda model: face_detection.FaceDetectionPipeline(model, limits),
        face_expression.TASK: face_expression.FaceExpressionPipeline,
        image_screening.TASK: lambda model: image_screening.ImageScreeningPipeline(model, limits),
        video_events.TASK: video_events.VideoEventsPipeline,
    }
    guard = partial(require_faces_allowed, tenants_of(settings.faces_tenants))
    service = ModelService(
        "vision",
        settings,
        pipelines=pipelines,
        default_model=settings.default_model,
        guards={face_detection.TASK: guard, face_expression.TASK: guard},
    )
    servicer = VisionServicer(service, settings)

    def attach(server: grpc.aio.Server) -> None:
        vision_service_pb2_grpc.add_VisionServiceServicer_to_server(servicer, server)

    return service.definition(CONTRACT, attach)


if __name__ == "__main__":
    chosen = read_settings(VisionSettings, "vision")
    run_service(lambda: build(chosen), chosen, "vision")
