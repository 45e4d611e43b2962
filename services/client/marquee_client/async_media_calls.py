"""The asynchronous client's calls of MediaService."""
# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels with the call, as in grpcio

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from typing import Unpack

import grpc
from grpc import aio

from marquee.entertainment.v1 import media_service_pb2 as media_pb
from marquee.entertainment.v1.media_service_pb2_grpc import MediaServiceStub
from marquee_client.async_writing_calls import AsyncWritingCalls
from marquee_client.error_mapping import REQUEST_ID_KEY, error_from
from marquee_client.media import ClipLike, ClipWishes, MediaWishes, PictureLike, clip_pieces, clip_start, picture_bytes
from marquee_client.options import EXPORT_TIMEOUT, new_request_id
from marquee_client.sending import send_all


class AsyncMediaCalls(AsyncWritingCalls):
    """Pictures and clips."""

    def _open_stubs(self) -> None:
        super()._open_stubs()
        self._media = MediaServiceStub(self._channel)

    async def analyze_image(
        self,
        image: PictureLike,
        *,
        features: Iterable[media_pb.MediaFeature.ValueType] = (),
        content_type: str = "",
        attach: media_pb.MediaAttachment | None = None,
        timeout: float | None = None,
        **wishes: Unpack[MediaWishes],
    ) -> media_pb.AnalyzeImageResponse:
        """Say what a picture shows, whether it may be shown, and what looks alike; `attach` makes it part of an item.

        Everything but faces when no feature is named. A feature that could not answer is named in the analysis.
        """
        request = media_pb.AnalyzeImageRequest(
            image=await asyncio.to_thread(picture_bytes, image),
            content_type=content_type,
            features=features,
            options=media_pb.MediaOptions(**wishes),
            attach=attach,
        )
        return await self._call(self._media.AnalyzeImage, request, timeout)

    async def analyze_clip(
        self,
        clip: ClipLike | AsyncIterable[bytes],
        *,
        features: Iterable[media_pb.MediaFeature.ValueType] = (),
        attach: media_pb.MediaAttachment | None = None,
        timeout: float = EXPORT_TIMEOUT,
        **wishes: Unpack[ClipWishes],
    ) -> AsyncIterator[media_pb.AnalyzeClipResponse]:
        """Analyse a clip while it is sent, a piece at a time; answers come as they are known, the summary last.

        Whoever reads slowly slows the upload, and whoever leaves the loop and closes the iterator ends it. The pieces
        of an `AsyncIterable` have at most 1 MiB each.
        """
        request_id = self._request_id or new_request_id()
        start = clip_start(features, attach, wishes)
        pieces = clip if isinstance(clip, AsyncIterable) else _read_on_a_thread(clip)

        async def requests() -> AsyncIterator[media_pb.AnalyzeClipRequest]:
            yield start
            async for piece in pieces:
                yield media_pb.AnalyzeClipRequest(chunk=piece)

        call = self._media.AnalyzeClip(timeout=timeout, metadata=((REQUEST_ID_KEY, request_id),))
        sending = asyncio.create_task(send_all(call, requests()))
        # A clip that cannot be read on must not be taken for a whole one.
        sending.add_done_callback(lambda done: call.cancel() if not done.cancelled() and done.exception() else None)
        try:
            while isinstance(response := await call.read(), media_pb.AnalyzeClipResponse):
                yield response
            code = await call.code()
            if code is not grpc.StatusCode.OK:  # reading raises errors only while it waits for a message
                raise aio.AioRpcError(
                    code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
                )
        except (grpc.RpcError, asyncio.CancelledError) as error:
            if sending.done() and not sending.cancelled() and (failure := sending.exception()) is not None:
                raise failure from error
            if isinstance(error, grpc.RpcError):
                raise error_from(error, request_id) from error
            raise
        finally:
            call.cancel()  # the caller may have stopped before the end
            sending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await sending


async def _read_on_a_thread(clip: ClipLike) -> AsyncIterator[bytes]:
    """Yield a clip's pieces; a slow disk does not stop the event loop."""
    pieces = clip_pieces(clip)
    try:
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
    finally:
        # A read that is still under way on its thread holds the file; it is let go when that ends.
        with suppress(ValueError):
            pieces.close()
