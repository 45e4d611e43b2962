"""A real server with a MediaService that answers from a script, and clips to send."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import media_service_pb2_grpc as rpc

KILL = media_pb2.GAMEPLAY_EVENT_KILL


@dataclass
class ScriptedMedia(rpc.MediaServiceServicer):
    """Answers what the test wants, and keeps what it was asked.

    Attributes:
        image: the answer for pictures.
        seconds: how long every clip is.
        refusal: code and message of every answer, in place of them.
        waits: a clip's end never comes.
        images: requests so far.
        starts: first messages of clips so far.
        received: bytes of the last clip.
        cancelled: set once a caller has gone away before the end.
    """

    image: pb.AnalyzeImageResponse = field(default_factory=pb.AnalyzeImageResponse)
    seconds: int = 4
    refusal: tuple[grpc.StatusCode, str] | None = None
    waits: bool = False
    images: list[pb.AnalyzeImageRequest] = field(default_factory=list)
    starts: list[pb.ClipStart] = field(default_factory=list)
    received: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)

    async def AnalyzeImage(self, request: pb.AnalyzeImageRequest, context: Any) -> pb.AnalyzeImageResponse:
        self.images.append(request)
        if self.refusal is not None:
            await context.abort(*self.refusal)
        return self.image

    async def AnalyzeClip(
        self, request_iterator: AsyncIterator[pb.AnalyzeClipRequest], context: Any
    ) -> AsyncIterator[pb.AnalyzeClipResponse]:
        self.received = 0
        async for request in request_iterator:
            if request.HasField("start"):
                self.starts.append(request.start)
            self.received += len(request.chunk)
        if self.refusal is not None:
            await context.abort(*self.refusal)
        info = media_pb2.VideoInfo(container="mp4", codec="h264", width=320, height=240, duration_seconds=self.seconds)
        yield pb.AnalyzeClipResponse(info=info)
        for second in range(self.seconds):
            segment = media_pb2.VideoSegment(start_seconds=second, end_seconds=second + 1, highlight=second / 10)
            segment.events.add(event=KILL, probability=0.9 if second % 2 else 0.1)
            segment.objects.add(label="imp", score=0.8, box=media_pb2.Box(right=0.5, bottom=0.5))
            yield pb.AnalyzeClipResponse(segment=segment)
            if self.starts[-1].checkpoint_interval_seconds:
                state = media_pb2.VideoCheckpoint(next_seconds=second + 1, sealed_state=b"sealed")
                yield pb.AnalyzeClipResponse(checkpoint=state)
        if self.waits:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        yield pb.AnalyzeClipResponse(scene_cut=media_pb2.SceneCut(time_seconds=2, score=50))
        yield pb.AnalyzeClipResponse(summary=self._summary())

    def _summary(self) -> pb.ClipSummary:
        summary = pb.ClipSummary(analyzed_seconds=self.seconds)
        summary.highlights.add(start_seconds=1, end_seconds=3, score=0.8, reason="two kills within $5 [b]seconds[/]")
        summary.labels.add(label="scoreboard", probability=0.6)
        summary.games.add(label="doom", probability=0.97)
        summary.failures.add(
            feature=pb.MEDIA_FEATURE_FACES, reason="FACES_NOT_ALLOWED", message="faces are not allowed for this tenant"
        )
        if self.starts[-1].HasField("attach"):
            summary.attachment.attached = True
            summary.attachment.added_tags.append("scoreboard")
        return summary


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedMedia]:
    """A server on a thread of its own, which the commands find; the test works in an empty folder."""
    servicer = ScriptedMedia()
    started, ports = threading.Event(), []
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def serve() -> None:
        server = grpc.aio.server()
        rpc.add_MediaServiceServicer_to_server(servicer, server)
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        started.set()
        await stopping.wait()
        await server.stop(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    monkeypatch.setenv("MARQUEE_TARGET", f"127.0.0.1:{ports[0]}")
    monkeypatch.setenv("MARQUEE_TIMEOUT", "60")  # patient: the machine may be busy with other tests
    monkeypatch.chdir(tmp_path)
    yield servicer
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


def picture_bytes(width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(file, kind)
    return file.getvalue()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of four seconds whose colour changes each second."""
    av = pytest.importorskip("av")
    path = tmp_path / "match.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height = 64, 48
        for number in range(32):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (number // 8 * 60, 0, 90)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
