"""What a caller sends, message by message, in the order that the contract wants, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from marquee.vision.v1 import video_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError

MAXIMUM_CHUNK_BYTES = 1 << 20


class Upload:
    """The caller's side of a stream.

    Args:
        requests: its messages.
        idle_seconds: how long it may send nothing while the service wants more.

    Attributes:
        received_bytes: bytes of the video so far.
    """

    def __init__(self, requests: AsyncIterator[pb.AnalyzeVideoRequest], idle_seconds: float) -> None:
        self._requests = requests
        self._idle_seconds = idle_seconds
        self._kept: pb.AnalyzeVideoRequest | None = None
        self._kind = ""
        self.received_bytes = 0

    async def start(self) -> pb.VideoStart:
        """Return the first message.

        Raises:
            InvalidRequest: it is not `start`, or there is none.
            ServiceError: it does not come.
        """
        request = await self._next()
        if request is None or request.WhichOneof("payload") != "start":
            raise _refused("start", "must be the first message of the stream", "START_MISSING")
        return request.start

    async def kind(self) -> str:
        """Return "chunk" or "frame", as the next message is, or an empty text when there is none; it stays the next."""
        self._kept = await self._next()
        self._kind = self._check(self._kept) if self._kept else ""
        return self._kind

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the pieces of an encoded video."""
        async for request in self._rest():
            chunk = request.chunk
            if len(chunk) > MAXIMUM_CHUNK_BYTES:
                description = f"has {len(chunk):,} bytes; the limit is {MAXIMUM_CHUNK_BYTES:,}"
                raise _refused("chunk", description, "CHUNK_TOO_LARGE")
            self.received_bytes += len(chunk)
            if chunk:
                yield chunk

    async def frames(self) -> AsyncIterator[pb.VideoFrame]:
        """Yield the frames of a video of single frames."""
        async for request in self._rest():
            self.received_bytes += len(request.frame.content)
            yield request.frame

    async def _rest(self) -> AsyncIterator[pb.AnalyzeVideoRequest]:
        while (request := self._kept or await self._next()) is not None:
            self._kept = None
            kind = self._check(request)
            if kind != self._kind:
                raise _refused(kind, f"follows a {self._kind}; a video is sent in chunks or in frames", "VIDEO_MIXED")
            yield request

    def _check(self, request: pb.AnalyzeVideoRequest) -> str:
        kind = request.WhichOneof("payload")
        if kind == "start":
            raise _refused("start", "is sent once, as the first message", "START_REPEATED")
        if kind is None:
            raise _refused("payload", "is empty; send a chunk or a frame", "PAYLOAD_MISSING")
        return kind

    async def _next(self) -> pb.AnalyzeVideoRequest | None:
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await anext(self._requests, None)
        except TimeoutError:
            raise ServiceError(
                grpc.StatusCode.ABORTED,
                "STREAM_IDLE",
                f"nothing was sent for {self._idle_seconds:g} s; close your side of the stream when the video is over",
                metadata={"limit_seconds": f"{self._idle_seconds:g}"},
            ) from None


def _refused(field: str, description: str, reason: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation(field, description)], reason)
