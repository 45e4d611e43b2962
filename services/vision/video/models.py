"""Which models look at a stream: those that its caller or the settings name, as far as they serve."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from marquee.common.v1 import media_pb2
from marquee.vision.v1 import video_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest, NotFound, ServiceError, Unavailable
from services.runtime.model_service import ModelService
from services.runtime.repository.requested import RequestedModels
from services.vision.faces_permission import require_faces_allowed, tenants_of
from services.vision.pipelines.face_detection import FaceDetectionPipeline
from services.vision.pipelines.face_expression import FaceExpressionPipeline
from services.vision.pipelines.image_recognition import ImageRecognitionPipeline
from services.vision.pipelines.image_screening import ImageScreeningPipeline
from services.vision.pipelines.image_vectors import ImageVectorsPipeline
from services.vision.pipelines.object_detection import ObjectDetectionPipeline
from services.vision.pipelines.video_events import VideoEventsPipeline
from services.vision.settings import VisionSettings
from services.vision.video.checkpoint import CheckpointSealer, StreamState
from services.vision.video.face_looker import FaceLooker
from services.vision.video.lookers import (
    EventLooker,
    ObjectLooker,
    PictureLooker,
    RecognitionLooker,
    SafetyLooker,
    VectorSum,
)
from services.vision.video.request import VideoRequest

MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"


@dataclass(slots=True)
class StreamModels:
    """The models of one stream.

    Attributes:
        events: the recurrent one; None when it is not asked for or not there.
        pictures: those of sampled frames, by what they find.
        vectors: sum of the frames' vectors.
        vector_model: name and version of the model that they are of.
        resumed: the state of the stream that this one goes on with.
        problems: what is missing.
    """

    events: EventLooker | None = None
    pictures: dict[str, PictureLooker] = field(default_factory=dict)
    vectors: VectorSum = field(default_factory=VectorSum)
    vector_model: str = ""
    resumed: StreamState | None = None
    problems: list[media_pb2.VideoProblem] = field(default_factory=list)


class VideoModels:
    """Chooses models for streams.

    Args:
        service: where they serve.
        settings: the defaults' names.
        sealer: opens checkpoints.
    """

    def __init__(self, service: ModelService, settings: VisionSettings, sealer: CheckpointSealer) -> None:
        models = service.models
        self._plane = service.plane
        self._sealer = sealer
        self._events = RequestedModels(models, VideoEventsPipeline, settings.default_events_model)
        self._labels = RequestedModels(models, ImageRecognitionPipeline, settings.default_model)
        self._vectors = RequestedModels[ImageRecognitionPipeline | ImageVectorsPipeline](
            models, (ImageRecognitionPipeline, ImageVectorsPipeline), settings.default_model
        )
        self._games = RequestedModels(models, ImageRecognitionPipeline, settings.default_game_model)
        self._objects = RequestedModels(models, ObjectDetectionPipeline, settings.default_objects_model)
        self._screening = RequestedModels(models, ImageScreeningPipeline, settings.default_screening_model)
        self._faces = RequestedModels(models, FaceDetectionPipeline, settings.default_faces_model)
        self._expressions = RequestedModels(models, FaceExpressionPipeline, settings.default_expressions_model)
        self._faces_tenants = tenants_of(settings.faces_tenants)

    async def choose(self, asked: VideoRequest, tenant: str) -> StreamModels:
        """Return the models of a stream. One that is missing is a problem of the stream; one that the caller names and
        that does not exist is the caller's mistake.

        Raises:
            NotFound: a named model does not exist.
            InvalidRequest: the checkpoint cannot be used.
            ServiceError: faces are asked for, and the tenant may not.
        """
        if pb.VIDEO_FEATURE_FACES in asked.features:
            require_faces_allowed(self._faces_tenants)
        chosen = StreamModels()
        start = asked.start
        if pb.VIDEO_FEATURE_EVENTS in asked.features:
            await self._try(chosen, "events", start.events_model, lambda: self._add_events(chosen, start.events_model))
        if start.checkpoint:
            if chosen.events is None and pb.VIDEO_FEATURE_EVENTS in asked.features:
                # Its state could not be told from a forged one without the model.
                raise Unavailable("MODEL_UNAVAILABLE", f"the stream cannot go on: {chosen.problems[0].message}")
            self._resume(chosen, start.checkpoint, tenant)
        wants_vector = pb.VIDEO_FEATURE_VECTOR in asked.features
        if pb.VIDEO_FEATURE_LABELS in asked.features:
            await self._try(chosen, "labels", start.labels_model, lambda: self._add_labels(chosen, asked, wants_vector))
        if wants_vector and not chosen.vector_model:
            await self._try(chosen, "vector", "", lambda: self._add_vector(chosen))
        if pb.VIDEO_FEATURE_GAME in asked.features:
            await self._try(chosen, "game", "", lambda: self._add_games(chosen, asked))
        if pb.VIDEO_FEATURE_SAFETY in asked.features:
            await self._try(chosen, "safety", "", lambda: self._add_safety(chosen))
        if pb.VIDEO_FEATURE_FACES in asked.features:
            await self._try(chosen, "faces", "", lambda: self._add_faces(chosen))
        if pb.VIDEO_FEATURE_OBJECTS in asked.features:
            await self._try(chosen, "objects", start.objects_model, lambda: self._add_objects(chosen, asked))
        return chosen

    async def _try(self, chosen: StreamModels, what: str, named: str, add: Callable[[], Awaitable[None]]) -> None:
        try:
            await add()
        except InvalidRequest:
            raise
        except ServiceError as error:
            if named and isinstance(error, NotFound):
                raise _unknown(f"start.{what}_model", error) from error
            chosen.problems.append(unavailable(what, error))

    async def _add_events(self, chosen: StreamModels, name: str) -> None:
        serving, pipeline = await self._events.get(name)
        chosen.events = EventLooker(self._plane, serving, pipeline)

    def _resume(self, chosen: StreamModels, sealed: bytes, tenant: str) -> None:
        events = chosen.events
        state = self._sealer.open(sealed, tenant, events.name if events else "")
        if events is not None and state.events is not None:
            events.resume(state.events)
        chosen.resumed = state
        chosen.vectors = VectorSum(state.vector_sum, state.vectors)

    async def _add_labels(self, chosen: StreamModels, asked: VideoRequest, with_vector: bool) -> None:
        serving, pipeline = await self._labels.get(asked.start.labels_model)
        # The video's vector is of the service's own model, whatever names its labels.
        shares = with_vector and not asked.start.labels_model
        total = chosen.vectors if shares else None
        looker = RecognitionLooker(self._plane, serving, pipeline, asked.label_count, total=total)
        chosen.pictures["labels"] = looker
        if shares:
            self._use_vectors(chosen, looker)

    async def _add_vector(self, chosen: StreamModels) -> None:
        serving, pipeline = await self._vectors.get("")
        looker = RecognitionLooker(self._plane, serving, pipeline, total=chosen.vectors)
        chosen.pictures["vector"] = looker
        self._use_vectors(chosen, looker)

    def _use_vectors(self, chosen: StreamModels, looker: RecognitionLooker) -> None:
        chosen.vector_model = looker.name
        resumed = chosen.resumed
        if resumed is not None and resumed.vectors and resumed.vector_model != looker.name:
            description = f"holds vectors of {resumed.vector_model}, and {looker.name} serves now; begin anew"
            raise InvalidRequest([FieldViolation("start.checkpoint", description)], "CHECKPOINT_INVALID")

    async def _add_games(self, chosen: StreamModels, asked: VideoRequest) -> None:
        serving, pipeline = await self._games.get("")
        chosen.pictures["game"] = RecognitionLooker(self._plane, serving, pipeline, asked.label_count, "games")

    async def _add_safety(self, chosen: StreamModels) -> None:
        serving, pipeline = await self._screening.get("")
        chosen.pictures["safety"] = SafetyLooker(self._plane, serving, pipeline)

    async def _add_faces(self, chosen: StreamModels) -> None:
        serving, pipeline = await self._faces.get("")
        expressions = await self._expressions.get("")
        chosen.pictures["faces"] = FaceLooker(self._plane, serving, pipeline, expressions)

    async def _add_objects(self, chosen: StreamModels, asked: VideoRequest) -> None:
        serving, pipeline = await self._objects.get(asked.start.objects_model)
        chosen.pictures["objects"] = ObjectLooker(self._plane, serving, pipeline, asked.minimum_object_score)


def _unknown(field: str, error: NotFound) -> NotFound:
    """Return the error of a named model with the name of this request's own field."""
    kind, name = error.resource or ("model", "")
    return NotFound(field, kind, name, error.message.partition("; ")[2])


def unavailable(what: str, error: ServiceError, time: float = 0.0) -> media_pb2.VideoProblem:
    """Return the problem of a model that cannot be used from `time` on."""
    message = f"{what} cannot be found in this video: {error.message}"
    return media_pb2.VideoProblem(time_seconds=time, reason=MODEL_UNAVAILABLE, message=message)
