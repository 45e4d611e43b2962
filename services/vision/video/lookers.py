"""What looks at the seconds of one stream: one object a model, each with the sums of its report."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import grpc
import numpy
import numpy.typing

from marquee.common.v1 import media_pb2, report_pb2
from services.runtime.data_plane import DataPlane
from services.runtime.errors import ServiceError
from services.runtime.pipeline import Pipeline
from services.runtime.repository.serving import ServingModel
from services.runtime.request_context import RequestContext, current_request, enter_request
from services.vision.pipelines.image_decoding import DecodedPicture
from services.vision.pipelines.image_recognition import ImageRecognitionPipeline, top_labels
from services.vision.pipelines.image_screening import ImageScreeningPipeline
from services.vision.pipelines.image_vectors import ImageVectorsPipeline
from services.vision.pipelines.object_detection import DEFAULT_OBJECTS, ObjectDetectionPipeline, best_objects
from services.vision.pipelines.video_events import EVENTS, EventsInput, VideoEventsPipeline

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
Pixels = numpy.typing.NDArray[numpy.uint8]
Floats = numpy.typing.NDArray[numpy.float32]
_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 2.0


class Looker:
    """One model at work for one stream. It holds the version that it began with until the stream ends.

    Args:
        plane: where it runs.
        serving: the version.

    Attributes:
        report: what answered, with the times of all runs so far.
    """

    def __init__(self, plane: DataPlane, serving: ServingModel) -> None:
        self._plane = plane
        self._serving = serving
        self.report = report_pb2.ModelReport(model=serving.identity.name, version=serving.identity.version)

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return f"{self._serving.identity.name}/{self._serving.identity.version}"

    def reports(self) -> list[report_pb2.ModelReport]:
        """Return what answered."""
        return [self.report]

    async def infer(self, pipeline: Pipeline[RequestT, Any, Any, ReplyT], request: RequestT) -> ReplyT:
        """Run the model; while the service is busy with others, wait: that slows the stream, and then its upload."""
        call = current_request()
        wait = _SHORTEST_WAIT
        while True:
            # Each second is a request of its own: its waiting time is not that of the stream.
            own = RequestContext(call.request_id, call.tenant, call.deadline, priority=call.priority)
            own.span = call.span
            enter_request(own)
            try:
                reply, timings = await self._plane.infer(pipeline, request, model=self._serving.identity)
            except ServiceError as error:
                if error.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            self.report.queue_microseconds += timings.queue_microseconds
            self.report.compute_microseconds += timings.compute_microseconds
            return reply


class EventLooker(Looker):
    """The recurrent model with the state of this stream."""

    def __init__(self, plane: DataPlane, serving: ServingModel, pipeline: VideoEventsPipeline) -> None:
        super().__init__(plane, serving)
        self._pipeline = pipeline
        self.size = pipeline.width, pipeline.height
        self.rate = pipeline.frames_per_second
        self.state = pipeline.first_state()

    def resume(self, state: Floats) -> None:
        """Go on with the state of an earlier stream."""
        if self._pipeline.is_state(state):
            self.state = state

    async def look(self, frames: Sequence[Pixels], segment: media_pb2.VideoSegment) -> None:
        """Say what happens in a second; one with too few frames goes on with its last."""
        if not frames:
            return
        whole = [*frames[: self.rate], *[frames[-1]] * (self.rate - len(frames))]
        found = await self.infer(self._pipeline, EventsInput(numpy.stack(whole)[None], self.state[None]))
        self.state = found.state[0]
        for event, probability in zip(EVENTS, found.events[0].tolist(), strict=True):
            segment.events.add(event=event, probability=min(1.0, max(0.0, probability)))
        segment.highlight = min(1.0, max(0.0, float(found.highlight[0])))


class PictureLooker(Looker, ABC):
    """A model that looks at sampled frames."""

    @abstractmethod
    async def look(self, pictures: Sequence[DecodedPicture], segment: media_pb2.VideoSegment) -> None:
        """Write into the segment what the sampled frames of its second show: at least one, two when they are asked for
        twice a second.
        """


class RecognitionLooker(PictureLooker):
    """Labels, vectors, or both from the same run.

    Args:
        plane: where it runs.
        serving: the version.
        pipeline: its pipeline.
        label_count: labels of a second; 0 for none.
        field: field of the segment that takes them, "labels" or "games".
        total: sum of vectors of the stream so far, None to collect none.
    """

    def __init__(
        self,
        plane: DataPlane,
        serving: ServingModel,
        pipeline: ImageRecognitionPipeline | ImageVectorsPipeline,
        label_count: int = 0,
        field: str = "labels",
        total: VectorSum | None = None,
    ) -> None:
        super().__init__(plane, serving)
        self._pipeline = pipeline
        self._count = label_count
        self._field = field
        self._total = total

    async def look(self, pictures: Sequence[DecodedPicture], segment: media_pb2.VideoSegment) -> None:
        """See `PictureLooker`: probabilities are means over the frames of the second."""
        found = await self.infer(self._pipeline, pictures)
        if self._total is not None:
            self._total.add(found.vectors)
        if self._count:
            labels = getattr(segment, self._field)
            for one in top_labels(found.probabilities.mean(axis=0), self._pipeline.labels, self._count).labels:
                labels.add(label=one.label, probability=one.probability)


class ObjectLooker(PictureLooker):
    """Objects of the first frame of the second."""

    def __init__(
        self, plane: DataPlane, serving: ServingModel, pipeline: ObjectDetectionPipeline, minimum_score: float
    ) -> None:
        super().__init__(plane, serving)
        self._pipeline = pipeline
        self._minimum_score = minimum_score

    async def look(self, pictures: Sequence[DecodedPicture], segment: media_pb2.VideoSegment) -> None:
        """See `PictureLooker`."""
        found = await self.infer(self._pipeline, pictures[:1])
        segment.objects.extend(
            best_objects(found.scores[0], found.boxes[0], self._pipeline.labels, self._minimum_score, DEFAULT_OBJECTS)
        )


class SafetyLooker(PictureLooker):
    """Whether frames are safe for work; of two in a second, the less safe one counts."""

    def __init__(self, plane: DataPlane, serving: ServingModel, pipeline: ImageScreeningPipeline) -> None:
        super().__init__(plane, serving)
        self._pipeline = pipeline

    async def look(self, pictures: Sequence[DecodedPicture], segment: media_pb2.VideoSegment) -> None:
        """See `PictureLooker`."""
        segment.unsafe_probability = float((await self.infer(self._pipeline, pictures)).max())


class VectorSum:
    """The mean direction of a stream's sampled frames.

    Args:
        total: float64[D] of an earlier stream, None for a new one.
        count: number of vectors in it.
    """

    def __init__(self, total: numpy.typing.NDArray[numpy.float64] | None = None, count: int = 0) -> None:
        self.total = total
        self.count = count

    def add(self, vectors: Floats) -> None:
        """Take in float32[N, D] unit vectors, one after the other: the sum does not depend on where a stream breaks."""
        for vector in vectors:
            self.total = vector.astype(numpy.float64) if self.total is None else self.total + vector
            self.count += 1

    def mean(self) -> Floats | None:
        """Return float32[D] of length one; None without a frame, or when they cancel each other out."""
        if self.total is None:
            return None
        length = float(numpy.linalg.norm(self.total))
        return (self.total / length).astype(numpy.float32) if length else None
