"""`AnalyzeVideo`: lets a bounded number of streams in, and gives up on callers who do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import grpc

from marquee.vision.v1 import video_pb2 as pb
from services.runtime.errors import ServiceError
from services.runtime.model_service import ModelService
from services.runtime.request_context import CallContext
from services.vision.settings import VisionSettings
from services.vision.video.checkpoint import CheckpointSealer, read_keys
from services.vision.video.decoder import DecoderPool
from services.vision.video.draining import Drain
from services.vision.video.models import VideoModels
from services.vision.video.sources import too_many
from services.vision.video.spool import SpoolSpace
from services.vision.video.stream import StreamRooms, answer_stream
from services.vision.video.upload import Upload


class VideoAnalysis:
    """The streams of one vision service.

    Args:
        service: the models and the data plane.
        settings: limits.

    Attributes:
        pool: the decoder processes.
        space: the disk of spooled videos.
        open_streams: number of streams being served.
    """

    def __init__(self, service: ModelService, settings: VisionSettings) -> None:
        sealer = CheckpointSealer(read_keys(settings.video_checkpoint_keys))
        self.pool = DecoderPool(settings.maximum_video_decoders, settings.video_decoder_hung_seconds)
        self.space = SpoolSpace(
            settings.video_spool_directory, settings.maximum_spooled_video_bytes, settings.video_spool_bytes
        )
        self.open_streams = 0
        self._settings = settings
        self._rooms = StreamRooms(
            settings,
            VideoModels(service, settings, sealer),
            sealer,
            self.pool,
            self.space,
            Drain(lambda: service.health, settings.drain_seconds),
            service.telemetry.usage,
        )

    async def answer(
        self, requests: AsyncIterator[pb.AnalyzeVideoRequest], context: CallContext
    ) -> AsyncGenerator[pb.AnalyzeVideoResponse, None]:
        """Answer one stream: the responses are written one by one, each within a time that a reader may take; only the
        last is yielded.

        Raises:
            ServiceError: the limit of streams is reached, the caller does not read, or as `answer_stream`.
        """
        upload = Upload(requests, self._settings.video_idle_seconds)
        try:
            async with aclosing(self._answer(upload, context)) as responses:
                async for response in responses:
                    yield response
            await upload.linger()
        except ServiceError as error:
            if error.code is not grpc.StatusCode.ABORTED:
                await upload.linger()
            raise
        finally:
            upload.close()

    async def _answer(self, upload: Upload, context: CallContext) -> AsyncGenerator[pb.AnalyzeVideoResponse, None]:
        limit = self._settings.maximum_video_streams
        if self.open_streams >= limit:
            raise too_many("video streams", limit)
        self.open_streams += 1
        last: pb.AnalyzeVideoResponse | None = None
        try:
            async with aclosing(answer_stream(self._rooms, upload)) as responses:
                async for response in responses:
                    if response.HasField("summary"):
                        last = response
                    else:
                        await self._write(response, context)
        finally:
            self.open_streams -= 1
        if last is not None:
            yield last

    async def _write(self, response: pb.AnalyzeVideoResponse, context: CallContext) -> None:
        seconds = self._settings.video_stalled_reader_seconds
        try:
            async with asyncio.timeout(seconds):
                await context.write(response)
        except TimeoutError:
            raise ServiceError(
                grpc.StatusCode.ABORTED,
                "READER_TOO_SLOW",
                f"no answer was read for {seconds:g} s; read while you send",
                metadata={"limit_seconds": f"{seconds:g}"},
            ) from None
