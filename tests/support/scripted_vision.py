"""A vision service on a real port that says what a test has it say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import numpy

from marquee.common.v1 import media_pb2
from marquee.common.v1.report_pb2 import ModelReport
from marquee.common.v1.vector_pb2 import Vector
from marquee.vision.v1 import video_pb2
from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1.vision_service_pb2_grpc import VisionServiceServicer, add_VisionServiceServicer_to_server
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError
from services.runtime.request_context import CallContext, current_request
from services.runtime.server import ServiceDefinition
from services.runtime.settings import ServiceSettings
from tests.support.servers import running

CONTRACT = "marquee.vision.v1.VisionService"
GAME_MODEL = "vit-atari-games"
VECTOR_MODEL = "pictures"
BROKEN = b"broken"
"""What no model can read."""
NOT_ALLOWED = ServiceError(grpc.StatusCode.PERMISSION_DENIED, "FACES_NOT_ALLOWED", "not for this tenant")

Video = Callable[[AsyncIterator[video_pb2.AnalyzeVideoRequest]], AsyncGenerator[video_pb2.AnalyzeVideoResponse, None]]


@dataclass
class Script:
    """What the service says.

    Attributes:
        labels, games: (name, probability), most probable first.
        objects: (kind, score), surest first.
        unsafe: probability of not being safe for work.
        vectors: by the picture's bytes; others get `vector`.
        vector: of every other picture; made to length one.
        failures: error of a method, by its name; for ClassifyImage with the model for games by that model's.
        slow: seconds that a method takes, by its name.
        faces_allowed: whether faces are looked for.
        video: answers AnalyzeVideo.
        asked: names of the methods that were called, with the tenant.
    """

    labels: Sequence[tuple[str, float]] = (("tabby", 0.8), ("tiger cat", 0.1), ("lynx", 0.05))
    games: Sequence[tuple[str, float]] = (("breakout", 0.9), ("pong", 0.1))
    objects: Sequence[tuple[str, float]] = (("Cacodemon", 0.9), ("Medikit", 0.6))
    unsafe: float = 0.01
    vectors: dict[bytes, Sequence[float]] = field(default_factory=dict)
    vector: Sequence[float] = (1.0, 0.0, 0.0)
    failures: dict[str, ServiceError] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    faces_allowed: bool = False
    video: Video | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def vector_of(self, content: bytes) -> bytes:
        """Return the vector of a picture: float32, of length one."""
        values = numpy.array(self.vectors.get(content, self.vector), numpy.float32)
        packed: bytes = (values / numpy.linalg.norm(values)).astype("<f4").tobytes()
        return packed


class ScriptedVision(VisionServiceServicer):
    """Follows a script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def ClassifyImage(self, request: pb.ClassifyImageRequest, context: CallContext) -> pb.ClassifyImageResponse:
        """Say the labels, or the games."""
        games = request.model == GAME_MODEL
        await self._begin(GAME_MODEL if games else "ClassifyImage", request.images)
        named = (self._script.games if games else self._script.labels)[: request.top_count or 5]
        labels = [pb.ImageLabel(label=label, probability=probability) for label, probability in named]
        return pb.ClassifyImageResponse(
            results=[pb.ImageClassification(labels=labels) for _ in request.images],
            report=ModelReport(model=request.model or "labels", version="1"),
        )

    async def EmbedImage(self, request: pb.EmbedImageRequest, context: CallContext) -> pb.EmbedImageResponse:
        """Say the vectors."""
        await self._begin("EmbedImage", request.images)
        vectors = [Vector(values=self._script.vector_of(image.content)) for image in request.images]
        return pb.EmbedImageResponse(vectors=vectors, report=ModelReport(model=VECTOR_MODEL, version="1"))

    async def DetectObjects(self, request: pb.DetectObjectsRequest, context: CallContext) -> pb.DetectObjectsResponse:
        """Say the objects."""
        await self._begin("DetectObjects", request.images)
        least = request.minimum_score if request.HasField("minimum_score") else 0.5
        objects = [
            media_pb2.DetectedObject(label=label, score=score, box=media_pb2.Box(right=0.5, bottom=0.5))
            for label, score in self._script.objects
            if score >= least
        ]
        found = [pb.ImageObjects(objects=objects, width=320, height=240) for _ in request.images]
        return pb.DetectObjectsResponse(results=found, report=ModelReport(model="objects", version="1"))

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: CallContext) -> pb.DetectFacesResponse:
        """Say one face a picture."""
        await self._begin("DetectFaces", request.images)
        if not self._script.faces_allowed:
            raise NOT_ALLOWED
        face = media_pb2.DetectedFace(box=media_pb2.Box(right=0.25, bottom=0.25), score=0.99)
        found = [pb.ImageFaces(faces=[face], width=320, height=240) for _ in request.images]
        return pb.DetectFacesResponse(results=found, report=ModelReport(model="faces", version="1"))

    async def ScreenImage(self, request: pb.ScreenImageRequest, context: CallContext) -> pb.ScreenImageResponse:
        """Say whether pictures are safe."""
        await self._begin("ScreenImage", request.images)
        found = [pb.ImageScreening(unsafe_probability=self._script.unsafe) for _ in request.images]
        return pb.ScreenImageResponse(results=found, report=ModelReport(model="screening", version="1"))

    async def AnalyzeVideo(
        self, request_iterator: AsyncIterator[video_pb2.AnalyzeVideoRequest], context: CallContext
    ) -> AsyncIterator[video_pb2.AnalyzeVideoResponse]:
        """Say what the script's video says."""
        await self._begin("AnalyzeVideo", ())
        assert self._script.video is not None
        async for response in self._script.video(request_iterator):
            yield response

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: CallContext
    ) -> pb.GenerateCandidatesResponse:
        """Have none."""
        return pb.GenerateCandidatesResponse()

    async def _begin(self, method: str, images: Sequence[pb.Image]) -> None:
        self._script.asked.append((method, current_request().tenant))
        await asyncio.sleep(self._script.slow.get(method, 0.0))
        if method in self._script.failures:
            raise self._script.failures[method]
        for index, image in enumerate(images):
            if image.content == BROKEN:
                raise InvalidRequest([FieldViolation(f"images[{index}].content", "is no picture")], "IMAGE_UNREADABLE")


@asynccontextmanager
async def scripted_vision(script: Script) -> AsyncIterator[str]:
    """Run the service; gives its address."""

    def attach(server: grpc.aio.Server) -> None:
        add_VisionServiceServicer_to_server(ScriptedVision(script), server)

    async def start() -> Sequence[str]:
        return []

    async def stop() -> None:
        return None

    definition = ServiceDefinition("vision", [CONTRACT], attach, start, stop)
    settings = ServiceSettings(drain_seconds=0, port=0, tenant_from_metadata=True)
    async with running(definition, settings) as server:
        yield server.address
