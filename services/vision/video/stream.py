"""One AnalyzeVideo stream from its first message to its summary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from marquee.common.v1 import media_pb2
from marquee.vision.v1 import video_pb2 as pb
from services.runtime.data_plane import Usage
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError, Unavailable
from services.runtime.request_context import current_request
from services.vision.settings import VisionSettings
from services.vision.video.analysis import Analysis, whole_seconds
from services.vision.video.checkpoint import CheckpointSealer
from services.vision.video.decoder import DecoderPool
from services.vision.video.decoding.messages import Clock, Ended, Message, Opened, Trouble
from services.vision.video.decoding.options import DecodingOptions
from services.vision.video.draining import Drain
from services.vision.video.frames import FrameVideo
from services.vision.video.models import StreamModels, VideoModels
from services.vision.video.request import VideoRequest, read_start
from services.vision.video.sources import VideoSource, open_video
from services.vision.video.spool import SpoolSpace
from services.vision.video.timeline import Timeline
from services.vision.video.upload import Upload

_METERED_MODEL, _METERED_UNIT = "video", "video_seconds"


@dataclass(frozen=True, slots=True)
class StreamRooms:
    """What all streams of a service share.

    Attributes:
        settings: limits.
        models: chooses models.
        sealer: seals and opens checkpoints.
        pool: decoder processes.
        space: disk.
        drain: tells when the service is about to stop.
        usage: where video seconds are metered; None meters nothing.
    """

    settings: VisionSettings
    models: VideoModels
    sealer: CheckpointSealer
    pool: DecoderPool
    space: SpoolSpace
    drain: Drain
    usage: Usage | None


async def answer_stream(rooms: StreamRooms, upload: Upload) -> AsyncGenerator[pb.AnalyzeVideoResponse, None]:
    """Yield the answers of one stream. Closing it early ends its decoder and gives its disk back.

    Raises:
        ServiceError: the caller's messages are not as agreed, the video is none, or a limit is reached.
    """
    call = current_request()
    asked = read_start(await upload.start())
    models = await rooms.models.choose(asked, call.tenant)
    source = await _open(rooms, upload, asked, models)
    stream = _Stream(rooms, asked, models, source, call.tenant)
    stopping = asyncio.create_task(rooms.drain.wait())
    try:
        async with aclosing(source.messages()) as messages:
            while not stream.is_over:
                message = await _first(messages, stopping)
                if message is None:
                    raise stream.stopped()
                async for response in stream.take(message, upload.received_bytes):
                    yield response
                if rooms.drain.is_announced:
                    stream.hurry()
    finally:
        stopping.cancel()
        stream.meter()


async def _open(rooms: StreamRooms, upload: Upload, asked: VideoRequest, models: StreamModels) -> VideoSource:
    settings, events, resumed = rooms.settings, models.events, models.resumed
    options = DecodingOptions(
        events_size=events.size if events else None,
        events_rate=events.rate if events else 1,
        sample_interval=asked.sample_interval if models.pictures else 0.0,
        sample_side=settings.video_sample_side,
        cut_threshold=asked.cut_threshold,
        origin=resumed.origin if resumed else None,
        start=resumed.next_second if resumed else 0,
        maximum_seconds=settings.maximum_video_seconds,
        maximum_pixels=settings.maximum_video_pixels,
        maximum_memory_bytes=settings.video_decoder_bytes,
        maximum_processor_seconds=settings.video_decoder_processor_seconds,
        threads=settings.video_decoder_threads,
    )
    kind = await upload.kind()
    if not kind:
        raise InvalidRequest([FieldViolation("chunk", "no video follows the start")], "VIDEO_EMPTY")
    if kind == "frame":
        return FrameVideo(upload, options, settings)
    return await open_video(upload, rooms.pool, rooms.space, options)


async def _first(messages: AsyncIterator[Message], stopping: asyncio.Task[None]) -> Message | None:
    """Return the next message, None when the service has to stop before it comes."""
    following: asyncio.Future[Message] = asyncio.ensure_future(anext(messages))
    try:
        await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
        return following.result() if following.done() else None
    finally:
        if not following.done():
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


class _Stream:
    """What is known of a stream while its messages come.

    Attributes:
        is_over: whether its summary was given.
    """

    def __init__(
        self, rooms: StreamRooms, asked: VideoRequest, models: StreamModels, source: VideoSource, tenant: str
    ) -> None:
        self._rooms = rooms
        self._asked = asked
        self._models = models
        self._source = source
        self._tenant = tenant
        self._start = models.resumed.next_second if models.resumed else 0
        self._timeline = Timeline(self._start)
        self._analysis: Analysis | None = None
        self._decoded_frames = 0
        self.is_over = False

    async def take(self, message: Message, received_bytes: int) -> AsyncGenerator[pb.AnalyzeVideoResponse, None]:
        """Yield what a message makes known.

        Raises:
            InvalidRequest: the video is not acceptable.
            ServiceError: its decoder ended before the first frame.
        """
        if isinstance(message, Opened):
            for response in self._open(message):
                yield response
            return
        if isinstance(message, Ended) and (self._analysis is None or message.is_refused):
            raise _refused(message)
        if self._analysis is None:
            # Damage before the first frame: told with the first second.
            if isinstance(message, Trouble):
                self._timeline.note(message)
            return
        if isinstance(message, Ended) and message.reason:
            self._timeline.note(
                Trouble(message.time, message.reason, f"{message.message}; what came before is answered")
            )
        if isinstance(message, Clock | Ended):
            self._decoded_frames = message.decoded_frames
        for second in self._timeline.add(message):
            async for response in self._analysis.answer(second):
                yield response
        if isinstance(message, Ended):
            self.is_over = True
            yield pb.AnalyzeVideoResponse(summary=self._analysis.summary(self._decoded_frames, received_bytes))

    def hurry(self) -> None:
        """Send a checkpoint with each second from now on, if any are asked for."""
        if self._analysis is not None:
            self._analysis.hurries = True

    def stopped(self) -> ServiceError:
        """Return what the caller is told when the service stops before the video is over."""
        if self._asked.checkpoint_interval:
            advice = "send the video again to another replica with the last checkpoint that you got"
        else:
            advice = "ask for checkpoints (checkpoint_interval_seconds) to go on where a stream ended"
        return Unavailable("SHUTTING_DOWN", f"the service stops before the video is over; {advice}")

    def meter(self) -> None:
        """Count the seconds that were analysed for the tenant, also of a stream that was left."""
        seconds = whole_seconds(self._analysis.analyzed_seconds) if self._analysis else 0
        if self._rooms.usage is not None and seconds:
            self._rooms.usage.add(self._tenant, _METERED_MODEL, "", _METERED_UNIT, seconds, 0.0)

    def _open(self, opened: Opened) -> list[pb.AnalyzeVideoResponse]:
        spooled_because = self._source.spooled_because
        self._analysis = Analysis(
            self._models,
            (opened.width, opened.height),
            opened.origin,
            self._tenant,
            self._rooms.sealer,
            self._asked.checkpoint_interval,
        )
        info = media_pb2.VideoInfo(
            delivery=media_pb2.VIDEO_DELIVERY_SPOOLED if spooled_because else media_pb2.VIDEO_DELIVERY_STREAMED,
            container=self._source.container,
            codec=opened.codec,
            width=opened.width,
            height=opened.height,
            frames_per_second=opened.frames_per_second,
            duration_seconds=opened.duration_seconds,
            start_seconds=self._start,
            detail=spooled_because,
        )
        for problem in self._models.problems:
            problem.time_seconds = self._start
        return [
            pb.AnalyzeVideoResponse(info=info),
            *(pb.AnalyzeVideoResponse(problem=problem) for problem in self._models.problems),
        ]


def _refused(ended: Ended) -> ServiceError:
    if ended.reason.startswith("DECODER_"):
        # Its end may be the video's doing or the machine's; nobody can tell before the first frame.
        return Unavailable(ended.reason, f"{ended.message}, before its first frame", retry_after_seconds=5.0)
    return InvalidRequest(
        [FieldViolation("chunk", ended.message or "the video holds no frame")], ended.reason or "VIDEO_EMPTY"
    )
