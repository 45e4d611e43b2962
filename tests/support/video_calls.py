"""Streams of AnalyzeVideo as a caller makes them, and all that it gets back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from marquee.common.v1 import media_pb2
from marquee.vision.v1 import video_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from services.orchestrator.sending import send_all
from services.runtime.server import ServiceServer
from services.vision.main import build
from services.vision.settings import VisionSettings
from tests.support import dummy_events_model, dummy_image_model
from tests.support.clients import Outcome, failure
from tests.support.servers import running

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"
VideoCall: TypeAlias = "grpc.aio.StreamStreamCall[pb.AnalyzeVideoRequest, pb.AnalyzeVideoResponse]"
CHUNK_BYTES = 4_096


@dataclass
class Answers:
    """What came back, in order, and how the call ended."""

    responses: list[pb.AnalyzeVideoResponse] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: Outcome(grpc.StatusCode.OK, ""))

    def all_of(self, kind: str) -> list[Any]:
        """Return the payloads of a kind, for example "segment"."""
        return [getattr(one, kind) for one in self.responses if one.WhichOneof("payload") == kind]

    @property
    def kinds(self) -> list[str]:
        """Kinds of the payloads, in order."""
        return [one.WhichOneof("payload") or "" for one in self.responses]

    @property
    def info(self) -> media_pb2.VideoInfo:
        """The first message."""
        return self.responses[0].info

    @property
    def segments(self) -> list[media_pb2.VideoSegment]:
        """The seconds."""
        return self.all_of("segment")

    @property
    def summary(self) -> pb.VideoSummary:
        """The last message."""
        return self.responses[-1].summary

    @property
    def problems(self) -> dict[str, media_pb2.VideoProblem]:
        """Problems by reason."""
        return {one.reason: one for one in self.all_of("problem")}


def start_with(features: Sequence[Any] = (), **fields: Any) -> pb.AnalyzeVideoRequest:
    """Return the first message of a stream."""
    return pb.AnalyzeVideoRequest(start=pb.VideoStart(features=features, **fields))


def chunks(video: bytes, size: int = CHUNK_BYTES) -> list[pb.AnalyzeVideoRequest]:
    """Return a video in pieces."""
    return [pb.AnalyzeVideoRequest(chunk=video[place : place + size]) for place in range(0, len(video), size)]


async def exchange(
    call: VideoCall, requests: AsyncIterable[pb.AnalyzeVideoRequest]
) -> AsyncGenerator[pb.AnalyzeVideoResponse, None]:
    """Send requests while the responses come, and raise the status with which the service ended the call.

    A call that is given its requests has grpc.aio's own INTERNAL in place of it when it ends while they are sent.

    Raises:
        AioRpcError: the call did not end well.
    """
    sending = asyncio.create_task(send_all(call, requests))
    try:
        while isinstance(response := await call.read(), pb.AnalyzeVideoResponse):
            yield response
        code = await call.code()
        if code is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
            )
    finally:
        call.cancel()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def ask(stub: Stub, requests: Sequence[pb.AnalyzeVideoRequest], **options: Any) -> Answers:
    """Send all requests, close, and read to the end."""

    async def sent() -> AsyncIterator[pb.AnalyzeVideoRequest]:
        for request in requests:
            yield request

    answers = Answers()
    try:
        async for response in exchange(stub.AnalyzeVideo(timeout=110, **options), sent()):
            answers.responses.append(response)
    except grpc.aio.AioRpcError as error:
        answers.outcome = failure(error)
    return answers


async def analyze(stub: Stub, video: bytes, features: Sequence[Any] = (), **fields: Any) -> Answers:
    """Send a whole video and read to the end."""
    return await ask(stub, [start_with(features, **fields), *chunks(video)])


async def read(call: Any) -> Answers:
    """Read a call to its end, however it ends."""
    answers = Answers()
    try:
        async for response in call:
            answers.responses.append(response)
    except grpc.aio.AioRpcError as error:
        answers.outcome = failure(error)
    return answers


@dataclass(frozen=True)
class VideoService:
    """A vision service in the test's own loop, with tiny models."""

    stub: Stub
    server: ServiceServer
    channel: grpc.aio.Channel


@asynccontextmanager
async def video_service(models: Path, **options: Any) -> AsyncIterator[VideoService]:
    """Run a vision service; `options` are settings."""
    if not (models / dummy_events_model.NAME).exists():
        dummy_events_model.write_events_model(models)
        dummy_image_model.write_image_model(models)
    settings = VisionSettings(
        **{
            "port": 0,
            "model_repository": models,
            "bundle_repository": models,
            "default_model": dummy_image_model.NAME,
            "default_game_model": dummy_image_model.NAME,
            "default_events_model": dummy_events_model.NAME,
            "engines": 1,
            **options,
        }
    )
    async with running(build(settings), settings) as server:
        stub = vision_service_pb2_grpc.VisionServiceStub(server.channel)
        yield VideoService(stub, server.server, server.channel)


async def settled(condition: Any, seconds: float = 30.0) -> bool:
    """Wait until a condition holds; returns whether it did."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
    return True
