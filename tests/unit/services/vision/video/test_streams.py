"""Callers who do not do as agreed, leave, or are too many; and decoders that do not survive their video."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from marquee.vision.v1 import video_pb2 as pb
from services.vision.video.checkpoint import CheckpointSealer
from tests.support.video_calls import (
    Answers,
    VideoService,
    analyze,
    ask,
    chunks,
    read,
    settled,
    start_with,
    video_service,
)
from tests.support.video_clips import clip

INVALID = grpc.StatusCode.INVALID_ARGUMENT
CHUNK = pb.AnalyzeVideoRequest(chunk=b"x")
FRAME = pb.AnalyzeVideoRequest(frame=pb.VideoFrame(content=bytes(3 * 64), width=8, height=8))
MODULE = "services.vision.video.decoding"


def frame(**fields: Any) -> pb.AnalyzeVideoRequest:
    return pb.AnalyzeVideoRequest(frame=pb.VideoFrame(**{"content": bytes(3 * 64), "width": 8, "height": 8, **fields}))


def decoders() -> list[psutil.Process]:
    """The decoder processes of this process's service that still run."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if MODULE in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture
async def service(models: Path) -> AsyncIterator[VideoService]:
    async with video_service(models) as running:
        yield running


class OpenStream:
    """A stream whose caller sends what and when the test wants."""

    def __init__(self, service: VideoService, **options: Any) -> None:
        self._queue: asyncio.Queue[pb.AnalyzeVideoRequest | None] = asyncio.Queue()
        self.call = service.stub.AnalyzeVideo(self._requests(), timeout=100, **options)

    async def _requests(self) -> AsyncIterator[pb.AnalyzeVideoRequest]:
        while (request := await self._queue.get()) is not None:
            yield request

    def send(self, *requests: pb.AnalyzeVideoRequest | None) -> None:
        for request in requests:
            self._queue.put_nowait(request)


@pytest.mark.parametrize(
    ("requests", "reason", "field"),
    [
        ([], "START_MISSING", "start"),
        ([CHUNK], "START_MISSING", "start"),
        ([pb.AnalyzeVideoRequest()], "START_MISSING", "start"),
        ([start_with()], "VIDEO_EMPTY", "chunk"),
        ([start_with(), start_with()], "START_REPEATED", "start"),
        ([start_with(), FRAME, start_with()], "START_REPEATED", "start"),
        ([start_with(), pb.AnalyzeVideoRequest()], "PAYLOAD_MISSING", "payload"),
        ([start_with(), FRAME, CHUNK], "VIDEO_MIXED", "chunk"),
        ([start_with(), frame(time_seconds=2), frame(time_seconds=1)], "FRAMES_OUT_OF_ORDER", "frame.time_seconds"),
        ([start_with(), frame(time_seconds=2), frame(time_seconds=2)], "FRAMES_OUT_OF_ORDER", "frame.time_seconds"),
        ([start_with(), frame(time_seconds=float("nan"))], "FRAMES_OUT_OF_ORDER", "frame.time_seconds"),
        ([start_with(), frame(width=9)], "FRAME_SIZE_WRONG", "frame.content"),
        ([start_with(), frame(height=0)], "INVALID_FIELD", "frame.height"),
        ([start_with(), frame(width=0, height=0)], "IMAGE_FORMAT_UNSUPPORTED", "frame.content"),
        ([start_with(), pb.AnalyzeVideoRequest(chunk=bytes((1 << 20) + 1))], "CHUNK_TOO_LARGE", "chunk"),
        ([start_with([99]), CHUNK], "INVALID_FIELD", "start.features[0]"),
        ([start_with(sample_interval_seconds=0.1), CHUNK], "INVALID_FIELD", "start.sample_interval_seconds"),
        ([start_with(label_count=-1), CHUNK], "INVALID_FIELD", "start.label_count"),
        ([start_with(minimum_object_score=1.5), CHUNK], "INVALID_FIELD", "start.minimum_object_score"),
        ([start_with(scene_cut_threshold=101), CHUNK], "INVALID_FIELD", "start.scene_cut_threshold"),
        ([start_with(checkpoint_interval_seconds=0.5), CHUNK], "INVALID_FIELD", "start.checkpoint_interval_seconds"),
        ([start_with(checkpoint=b"mine"), CHUNK], "CHECKPOINT_INVALID", "start.checkpoint"),
    ],
)
async def test_what_is_not_as_agreed_is_named(
    service: VideoService, requests: list[pb.AnalyzeVideoRequest], reason: str, field: str
) -> None:
    answers = await ask(service.stub, requests)
    assert (answers.outcome.code, answers.outcome.reason) == (INVALID, reason), answers.outcome.message
    assert field in answers.outcome.violations


async def test_faces_are_for_tenants_that_may(service: VideoService) -> None:
    answers = await ask(service.stub, [start_with([pb.VIDEO_FEATURE_FACES]), FRAME])
    assert (answers.outcome.code, answers.outcome.reason) == (grpc.StatusCode.PERMISSION_DENIED, "FACES_NOT_ALLOWED")


@pytest.mark.parametrize("first", [[], [start_with()], [start_with(), chunks(clip(2))[0]]])
async def test_a_caller_who_sends_nothing_is_not_waited_for(models: Path, first: list[pb.AnalyzeVideoRequest]) -> None:
    async with video_service(models, video_idle_seconds=0.5) as service:
        stream = OpenStream(service)
        stream.send(*first)
        answers = await asyncio.wait_for(read(stream.call), 60)
        assert (answers.outcome.code, answers.outcome.reason) == (grpc.StatusCode.ABORTED, "STREAM_IDLE")
        assert "0.5 s" in answers.outcome.message
        await settled(lambda: not decoders())


async def test_answers_come_while_the_video_is_sent(service: VideoService) -> None:
    stream = OpenStream(service)
    video = clip(6)
    pieces = chunks(video, len(video) // 3)
    stream.send(start_with(), *pieces[:2])
    responses = aiter(stream.call)
    assert (await anext(responses)).HasField("info")
    assert (await anext(responses)).segment.start_seconds == 0
    stream.send(*pieces[2:], None)
    rest = [response async for response in responses]
    assert rest[-1].summary.analyzed_seconds == pytest.approx(6)


async def test_a_caller_who_reads_nothing_stops_the_upload_and_is_given_up(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Large checkpoints fill the connection soon.
    monkeypatch.setattr(CheckpointSealer, "seal", lambda *_: bytes(1 << 19))
    async with video_service(models, video_stalled_reader_seconds=3) as service:

        async def endless() -> AsyncIterator[pb.AnalyzeVideoRequest]:
            yield start_with(checkpoint_interval_seconds=1)
            for index in range(10_000):
                yield frame(time_seconds=index)

        call = service.stub.AnalyzeVideo(endless(), timeout=100)
        await asyncio.sleep(6)
        answers = await asyncio.wait_for(read(call), 60)
        assert (answers.outcome.code, answers.outcome.reason) == (grpc.StatusCode.ABORTED, "READER_TOO_SLOW")
        # What was made ahead of the reader: what the connection holds, and no more.
        assert len(answers.segments) < 200


async def test_two_hundred_streams_at_once(models: Path) -> None:
    async with video_service(models, maximum_video_streams=4, maximum_video_decoders=2) as service:
        streams = [OpenStream(service) for _ in range(200)]
        for stream in streams:
            stream.send(start_with(), FRAME)

        async def first(stream: OpenStream) -> Answers | None:
            waiting = asyncio.ensure_future(read(stream.call))
            done, _ = await asyncio.wait({waiting}, timeout=20)
            if not done:
                stream.send(None)
                await asyncio.wait_for(waiting, 60)
                return None
            return waiting.result()

        outcomes = await asyncio.gather(*(first(stream) for stream in streams))
        refused = [one for one in outcomes if one is not None]
        assert len(refused) == 196
        assert {one.outcome.code for one in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert {one.outcome.reason for one in refused} == {"TOO_MANY_STREAMS"}
        assert all(one.outcome.retry_seconds for one in refused)
        # There is room again once they are over.
        assert (await ask(service.stub, [start_with(), FRAME])).segments


async def test_decoders_are_counted_too(models: Path) -> None:
    async with video_service(models, maximum_video_decoders=0) as service:
        answers = await analyze(service.stub, clip(2))
        assert (answers.outcome.code, answers.outcome.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_STREAMS",
        )
        assert (await ask(service.stub, [start_with(), FRAME])).segments


@pytest.mark.parametrize("kind", ["fragmented", "mp4"])
async def test_a_caller_who_leaves_takes_the_decoder_along(service: VideoService, kind: str) -> None:
    stream = OpenStream(service)
    video = chunks(clip(6, kind))
    if kind == "fragmented":
        stream.send(start_with(), *video[:-1])
        assert (await anext(aiter(stream.call))).HasField("info")
        assert len(decoders()) == 1
    else:
        stream.send(start_with(), *video[:-1])
        await asyncio.sleep(0.3)
    stream.call.cancel()
    await settled(lambda: not decoders())
    # Its room is free again.
    assert (await ask(service.stub, [start_with(), FRAME])).segments


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (signal.SIGSEGV, "DECODER_CRASHED", "crashed"),
        (signal.SIGKILL, "DECODER_OUT_OF_MEMORY", "memory"),
        (signal.SIGSTOP, "DECODER_HUNG", "no progress"),
    ],
)
async def test_a_decoder_that_dies_ends_its_own_stream_only(
    models: Path, number: signal.Signals, reason: str, words: str
) -> None:
    async with video_service(models, video_decoder_hung_seconds=2) as service:
        stream = OpenStream(service)
        video = clip(6)
        pieces = chunks(video, len(video) // 2)
        stream.send(start_with(), pieces[0])
        responses = aiter(stream.call)
        while not (await anext(responses)).HasField("segment"):
            continue
        (decoder,) = decoders()
        os.kill(decoder.pid, number)
        stream.send(*pieces[1:], None)
        rest = Answers([response async for response in responses])
        assert rest.problems[reason].time_seconds >= 1
        assert words in rest.problems[reason].message
        assert rest.summary.partial
        await settled(lambda: not decoders())
        assert (await ask(service.stub, [start_with(), FRAME])).segments


async def test_a_decoder_that_dies_before_the_first_frame_is_not_the_callers_fault(service: VideoService) -> None:
    stream = OpenStream(service)
    pieces = chunks(clip(6))
    stream.send(start_with(), pieces[0])
    reading = asyncio.create_task(read(stream.call))
    await settled(lambda: len(decoders()) == 1)
    decoders()[0].kill()
    stream.send(*pieces[1:], None)
    answers = await asyncio.wait_for(reading, 60)
    assert (answers.outcome.code, answers.outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "DECODER_OUT_OF_MEMORY")
    assert answers.outcome.retry_seconds
    assert (await ask(service.stub, [start_with(), FRAME])).segments


@pytest.mark.parametrize(("interval", "words"), [(1, "last checkpoint"), (0, "checkpoint_interval_seconds")])
async def test_a_service_that_stops_says_how_to_go_on(models: Path, interval: int, words: str) -> None:
    async with video_service(models, drain_seconds=2) as service:
        stream = OpenStream(service)
        stream.send(start_with(checkpoint_interval_seconds=interval), *(frame(time_seconds=n) for n in range(3)))
        reading = asyncio.create_task(read(stream.call))
        await asyncio.sleep(1)
        stopping = asyncio.create_task(service.server.stop())
        await asyncio.sleep(0.2)
        stream.send(frame(time_seconds=3))
        answers = await asyncio.wait_for(reading, 30)
        await stopping
        assert (answers.outcome.code, answers.outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert words in answers.outcome.message
        assert len(answers.segments) == 3
        assert bool(answers.all_of("checkpoint")) == bool(interval)
