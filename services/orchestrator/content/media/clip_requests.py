"""What the caller of a clip sends, message by message, in the order that the contract wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import grpc

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.vision.v1 import video_pb2 as video_pb
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError

LARGEST_CHUNK = 1 << 20


async def first_message(requests: AsyncIterator[pb.AnalyzeClipRequest], idle_seconds: float) -> pb.ClipStart:
    """Return the start of a clip.

    Raises:
        InvalidRequest: the first message is another, or there is none.
        ServiceError: none comes.
    """
    try:
        async with asyncio.timeout(idle_seconds):
            request = await anext(requests, None)
    except TimeoutError:
        raise ServiceError(
            grpc.StatusCode.ABORTED,
            "STREAM_IDLE",
            f"nothing was sent for {idle_seconds:g} s; send `start` first, then the clip in chunks",
            metadata={"limit_seconds": f"{idle_seconds:g}"},
        ) from None
    if request is None or request.WhichOneof("payload") != "start":
        raise _refused("start", "must be the first message of the stream", "START_MISSING")
    return request.start


async def video_requests(
    start: video_pb.VideoStart, requests: AsyncIterator[pb.AnalyzeClipRequest]
) -> AsyncGenerator[video_pb.AnalyzeVideoRequest]:
    """Yield what the vision service is sent, a message for each of the caller's, taken when it is wanted.

    Raises:
        InvalidRequest: the caller sent something else than chunks.
    """
    yield video_pb.AnalyzeVideoRequest(start=start)
    async for request in requests:
        match request.WhichOneof("payload"):
            case "chunk" if len(request.chunk) > LARGEST_CHUNK:
                description = f"has {len(request.chunk):,} bytes; the limit is {LARGEST_CHUNK:,}"
                raise _refused("chunk", description, "CHUNK_TOO_LARGE")
            case "chunk":
                yield video_pb.AnalyzeVideoRequest(chunk=request.chunk)
            case "start":
                raise _refused("start", "is sent once, as the first message", "START_REPEATED")
            case _:
                raise _refused("payload", "is empty; send a chunk", "PAYLOAD_MISSING")


def _refused(field: str, description: str, reason: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation(field, description)], reason)
