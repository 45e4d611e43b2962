"""From the seconds of one stream to its answers, in the order of their times."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable
from operator import itemgetter

from marquee.common.v1 import media_pb2, vector_pb2
from marquee.vision.v1 import video_pb2 as pb
from services.runtime.errors import DeadlinePassed, ServiceError
from services.runtime.logs import get_logger
from services.vision.pipelines.image_decoding import DecodedPicture
from services.vision.video.checkpoint import CheckpointSealer, StreamState
from services.vision.video.models import MODEL_UNAVAILABLE, StreamModels, unavailable
from services.vision.video.timeline import Second

_logger = get_logger(__name__)


class Analysis:
    """The models of one stream at work.

    Args:
        models: which.
        shown: width and height of the video as shown, in pixels.
        origin: time stamp of its first frame, see `messages.Opened`.
        tenant: whose it is.
        sealer: seals checkpoints.
        checkpoint_interval: seconds between checkpoints; 0 for none.

    Attributes:
        analyzed_seconds: seconds answered.
        analyzed_frames: frames that a model looked at.
        is_partial: whether something could not be analysed.
        hurries: whether a checkpoint follows each second, since the service is about to stop.
    """

    def __init__(
        self,
        models: StreamModels,
        shown: tuple[int, int],
        origin: tuple[int, int, int],
        tenant: str,
        sealer: CheckpointSealer,
        checkpoint_interval: float,
    ) -> None:
        self._models = models
        self._shown = shown
        self._origin = origin
        self._tenant = tenant
        self._sealer = sealer
        self._interval = checkpoint_interval
        self._sealed_at = models.resumed.next_second if models.resumed else 0
        self.analyzed_seconds = 0.0
        self.analyzed_frames = 0
        self.is_partial = bool(models.problems)
        self.hurries = False

    async def answer(self, second: Second) -> AsyncIterator[pb.AnalyzeVideoResponse]:
        """Yield a second's segment, then what begins within it, then a checkpoint when one is due."""
        segment = media_pb2.VideoSegment(start_seconds=second.index, end_seconds=second.end)
        problems = await self._look(second, segment)
        self.analyzed_seconds += max(0.0, second.end - second.index)
        if second.end > second.index:
            yield pb.AnalyzeVideoResponse(segment=segment)
        problems += [
            media_pb2.VideoProblem(time_seconds=one.time, reason=one.reason, message=one.message)
            for one in second.troubles
        ]
        self.is_partial = self.is_partial or bool(problems)
        found = [
            *(
                (
                    one.time,
                    pb.AnalyzeVideoResponse(scene_cut=media_pb2.SceneCut(time_seconds=one.time, score=one.score)),
                )
                for one in second.cuts
            ),
            *((one.time_seconds, pb.AnalyzeVideoResponse(problem=one)) for one in problems),
        ]
        for _, response in sorted(found, key=itemgetter(0)):
            yield response
        following = second.index + 1
        is_whole = second.end >= following
        if self._interval and is_whole and (self.hurries or following - self._sealed_at >= self._interval):
            self._sealed_at = following
            yield pb.AnalyzeVideoResponse(checkpoint=self._checkpoint(following))

    def summary(self, decoded_frames: int, received_bytes: int) -> pb.VideoSummary:
        """Return what the analysis was."""
        mean = self._models.vectors.mean() if self._models.vector_model else None
        lookers = [*([self._models.events] if self._models.events else []), *self._models.pictures.values()]
        return pb.VideoSummary(
            analyzed_seconds=self.analyzed_seconds,
            decoded_frames=decoded_frames,
            analyzed_frames=self.analyzed_frames,
            received_bytes=received_bytes,
            partial=self.is_partial,
            vector=None if mean is None else vector_pb2.Vector(values=mean.astype("<f4").tobytes()),
            reports=[report for looker in lookers for report in looker.reports()],
        )

    async def _look(self, second: Second, segment: media_pb2.VideoSegment) -> list[media_pb2.VideoProblem]:
        """Let all models look at a second at the same time; one that fails is not asked again."""
        models = self._models
        work: dict[str, Awaitable[None]] = {}
        if models.events is not None and second.event_frames:
            self.analyzed_frames += min(len(second.event_frames), models.events.rate)
            work["events"] = models.events.look(second.event_frames, segment)
        if second.samples and models.pictures:
            self.analyzed_frames += len(second.samples)
            segment.sample_seconds = second.samples[0][0]
            pictures = [DecodedPicture(pixels, *self._shown) for _, pixels in second.samples]
            work |= {name: looker.look(pictures, segment) for name, looker in models.pictures.items()}
        results = await asyncio.gather(*work.values(), return_exceptions=True)
        problems = []
        for name, result in zip(work, results, strict=True):
            if result is None:
                continue
            if isinstance(result, DeadlinePassed) or not isinstance(result, Exception):
                raise result
            problems.append(self._without(name, result, second.index))
        return problems

    def _without(self, name: str, error: Exception, time: int) -> media_pb2.VideoProblem:
        if name == "events":
            self._models.events = None
        else:
            self._models.pictures.pop(name, None)
        if isinstance(error, ServiceError):
            return unavailable(name, error, time)
        _logger.error("a model failed in a video", feature=name, exc_info=error)
        message = f"{name} cannot be found from here on: the model failed; the service's log says why"
        return media_pb2.VideoProblem(time_seconds=time, reason=MODEL_UNAVAILABLE, message=message)

    def _checkpoint(self, following: int) -> media_pb2.VideoCheckpoint:
        models = self._models
        events, vectors = models.events, models.vectors
        state = StreamState(
            following,
            self._origin,
            events.state if events else None,
            vectors.total if models.vector_model else None,
            vectors.count if models.vector_model else 0,
            models.vector_model,
        )
        sealed = self._sealer.seal(state, self._tenant, events.name if events else "")
        return media_pb2.VideoCheckpoint(next_seconds=following, sealed_state=sealed)


def whole_seconds(seconds: float) -> int:
    """Return seconds as they are metered: begun ones count."""
    return math.ceil(seconds - 1e-6)
