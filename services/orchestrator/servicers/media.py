"""MediaService: checks requests and hands pictures and clips to what analyses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1.media_service_pb2_grpc import MediaServiceServicer
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from services.orchestrator.content.media.clip import ClipAnalyzer
from services.orchestrator.content.media.clip_requests import first_message
from services.orchestrator.content.media.clip_wishes import read_clip_wish
from services.orchestrator.content.media.features import PICTURE_FEATURES
from services.orchestrator.content.media.image import ImageAnalyzer
from services.orchestrator.content.media.wishes import read_wish
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.errors import ServiceError
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

LONGEST_CONTENT_TYPE = 100


class MediaServicer(MediaServiceServicer):
    """See media_service.proto for what the methods promise."""

    def __init__(self, images: ImageAnalyzer, clips: ClipAnalyzer, settings: OrchestratorSettings) -> None:
        self._images = images
        self._clips = clips
        self._settings = settings

    async def AnalyzeImage(self, request: pb.AnalyzeImageRequest, context: CallContext) -> pb.AnalyzeImageResponse:
        """Analyse one picture."""
        check = Violations()
        if not request.image:
            check.add("image", "is empty; it is required")
        check.text("content_type", request.content_type, minimum=0, maximum=LONGEST_CONTENT_TYPE)
        attach = request.attach if request.HasField("attach") else None
        wish = read_wish(check, "", request.features, PICTURE_FEATURES, request.options, attach)
        check.raise_if_any()
        image = vision_pb.Image(content=request.image, content_type=request.content_type)
        return await self._images.analyze(current_request().tenant, image, wish)

    async def AnalyzeClip(
        self, request_iterator: AsyncIterator[pb.AnalyzeClipRequest], context: CallContext
    ) -> AsyncIterator[pb.AnalyzeClipResponse]:
        """Analyse a clip while it arrives. Answers are written one by one, each within the time that a reader may
        take; only the last is yielded.
        """
        start = await first_message(request_iterator, self._settings.clip_idle_seconds)
        check = Violations()
        wish = read_clip_wish(check, start)
        check.raise_if_any()
        async with aclosing(self._clips.analyze(current_request().tenant, wish, request_iterator)) as replies:
            async for reply in replies:
                if reply.HasField("summary"):
                    yield reply
                else:
                    await self._write(reply, context)

    async def _write(self, reply: pb.AnalyzeClipResponse, context: CallContext) -> None:
        seconds = self._settings.clip_stalled_reader_seconds
        try:
            async with asyncio.timeout(seconds):
                await context.write(reply)
        except TimeoutError:
            raise ServiceError(
                grpc.StatusCode.ABORTED,
                "READER_TOO_SLOW",
                f"no answer was read for {seconds:g} s; read while you send",
                metadata={"limit_seconds": f"{seconds:g}"},
            ) from None
