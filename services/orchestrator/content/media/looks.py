"""Asks the vision models about one picture, all at once; one that fails costs no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from marquee.common.v1.media_pb2 import MediaLabel
from marquee.common.v1.report_pb2 import STEP_OUTCOME_SKIPPED, ModelReport
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from services.orchestrator.content.media.features import (
    FACES,
    GAME,
    GAME_MODEL,
    LABELS,
    OBJECTS,
    SAFETY,
    SIMILAR,
    Feature,
)
from services.orchestrator.content.media.vision_failures import NOT_ALLOWED, failure_of, refused_picture
from services.orchestrator.mesh import Mesh, MeshError
from services.orchestrator.recommend.steps import StepLog, describe_model
from services.orchestrator.store.records import ItemVector

STEPS: dict[Feature, str] = {
    LABELS: "media/labels",
    OBJECTS: "media/objects",
    FACES: "media/faces",
    SAFETY: "media/safety",
    SIMILAR: "media/vector",
    GAME: "media/game",
}


@dataclass
class Looked:
    """What the models said of a picture; None where one was not asked or did not answer.

    Attributes:
        labels: what it shows, most probable first.
        objects: with the picture's size.
        faces: with the picture's size.
        unsafe_probability: 0 to 1.
        vector: of length one.
        games: most probable first.
        failures: by feature.
    """

    labels: Sequence[MediaLabel] | None = None
    objects: vision_pb.ImageObjects | None = None
    faces: vision_pb.ImageFaces | None = None
    unsafe_probability: float | None = None
    vector: ItemVector | None = None
    games: Sequence[MediaLabel] | None = None
    failures: dict[Feature, pb.MediaFailure] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown; zeros when nothing measured them."""
        for found in (self.objects, self.faces):
            if found is not None:
                return found.width, found.height
        return 0, 0


@dataclass(frozen=True)
class PictureQuestions:
    """The questions to the models about one picture.

    Args:
        mesh: the model services.
        image: the picture.
        label_count: labels to ask for.
        minimum_object_score: least score of an object.
        seconds: time for each.
    """

    mesh: Mesh
    image: vision_pb.Image
    label_count: int
    minimum_object_score: float
    seconds: float

    async def ask(self, features: Collection[Feature], steps: StepLog) -> Looked:
        """Return what the models say for features; SIMILAR stands for the vector.

        Raises:
            InvalidRequest: the picture was refused; names our own fields.
        """
        looked = Looked()
        asks: dict[Feature, Callable[[Looked], Awaitable[ModelReport]]] = {
            LABELS: self._labels,
            OBJECTS: self._objects,
            FACES: self._faces,
            SAFETY: self._safety,
            SIMILAR: self._vector,
            GAME: self._game,
        }
        tasks = [
            asyncio.create_task(self._one(feature, ask, looked, steps))
            for feature, ask in asks.items()
            if feature in features
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            # A picture that one model refuses is of no use to the others.
            for task in tasks:
                task.cancel()
        return looked

    async def _one(
        self, feature: Feature, ask: Callable[[Looked], Awaitable[ModelReport]], looked: Looked, steps: StepLog
    ) -> None:
        with steps.measure(STEPS[feature], "vision") as report:
            try:
                describe_model(report, await ask(looked))
            except MeshError as error:
                refused = refused_picture(error)
                if refused is not None:
                    raise refused from error
                failure = looked.failures[feature] = failure_of(feature, error)
                if failure.reason != NOT_ALLOWED:
                    raise
                report.outcome, report.detail = STEP_OUTCOME_SKIPPED, failure.message

    async def _labels(self, looked: Looked) -> ModelReport:
        reply = await self.mesh.classify_images([self.image], self.label_count, self.seconds)
        looked.labels = media_labels(reply.results[0].labels)
        return reply.report

    async def _objects(self, looked: Looked) -> ModelReport:
        reply = await self.mesh.detect_objects([self.image], self.minimum_object_score, self.seconds)
        looked.objects = reply.results[0]
        return reply.report

    async def _faces(self, looked: Looked) -> ModelReport:
        reply = await self.mesh.detect_faces([self.image], self.seconds)
        looked.faces = reply.results[0]
        return reply.report

    async def _safety(self, looked: Looked) -> ModelReport:
        reply = await self.mesh.screen_images([self.image], self.seconds)
        looked.unsafe_probability = reply.results[0].unsafe_probability
        return reply.report

    async def _vector(self, looked: Looked) -> ModelReport:
        reply = await self.mesh.embed_images([self.image], self.seconds)
        looked.vector = ItemVector(reply.vectors[0].values, reply.report.model, reply.report.version)
        return reply.report

    async def _game(self, looked: Looked) -> ModelReport:
        reply = await self.mesh.classify_images([self.image], self.label_count, self.seconds, GAME_MODEL)
        looked.games = media_labels(reply.results[0].labels)
        return reply.report


def media_labels(labels: Sequence[vision_pb.ImageLabel]) -> list[MediaLabel]:
    """Return a classifier's labels as they are sent."""
    return [MediaLabel(label=label.label, probability=label.probability) for label in labels]
