"""What a caller sends, message by message, in the order that the contract wants, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from marquee.vision.v1 import video_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError

MAXIMUM_CHUNK_BYTES = 1 << 20
# A caller whose stream ends while it is sending may get an error of its own transport instead of ours: what it has on
# the way is taken in first, while it keeps coming, and not for long.
_LINGER_SECONDS, _LINGER_SILENCE_SECONDS = 0.5, 0.1

_Received = pb.AnalyzeVideoRequest | None | BaseException


class Upload:
    """The caller's side of a stream. One message is read ahead.

    Args:
        requests: its messages.
        idle_seconds: how long it may send nothing while the service wants more.

    Attributes:
        received_bytes: bytes of the video so far.
    """

    def __init__(self, requests: AsyncIterator[pb.AnalyzeVideoRequest], idle_seconds: float) -> None:
        self._queue: asyncio.Queue[_Received] = asyncio.Queue(1)
        self._reader = asyncio.create_task(self._read(requests))
        self._idle_seconds = idle_seconds
        self._kept: pb.AnalyzeVideoRequest | None = None
        self._kind = ""
        self._is_over = False
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

    async def linger(self) -> None:
        """Take in what is on the way, before the stream ends ahead of its caller."""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._is_over:
                    async with asyncio.timeout(_LINGER_SILENCE_SECONDS):
                        received = await self._queue.get()
                    self._is_over = not isinstance(received, pb.AnalyzeVideoRequest)
        except TimeoutError:
            return

    def close(self) -> None:
        """Read no more."""
        self._reader.cancel()

    async def _read(self, requests: AsyncIterator[pb.AnalyzeVideoRequest]) -> None:
        try:
            async for request in requests:
                await self._queue.put(request)
            await self._queue.put(None)
        except Exception as error:
            await self._queue.put(error)

    async def _next(self) -> pb.AnalyzeVideoRequest | None:
        if self._is_over:
            return None
        try:
            async with asyncio.timeout(self._idle_seconds):
                received = await self._queue.get()
            self._is_over = not isinstance(received, pb.AnalyzeVideoRequest)
            if isinstance(received, BaseException):
                raise received
        except TimeoutError:
            raise ServiceError(
                grpc.StatusCode.ABORTED,
                "STREAM_IDLE",
                f"nothing was sent for {self._idle_seconds:g} s; close your side of the stream when the video is over",
                metadata={"limit_seconds": f"{self._idle_seconds:g}"},
            ) from None
        return received


def _refused(field: str, description: str, reason: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation(field, description)], reason)
