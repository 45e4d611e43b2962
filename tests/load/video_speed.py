"""Frames a second from file to answers, and the memory of service and decoder: `make bench-video`.

Each clip is made here, ten minutes long. The models are those of the repository where they are there, so that the
figures are of what is served; `--tiny` measures decoding and transport with a model of a kilobyte.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil

from marquee.vision.v1 import video_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from tests.support import dummy_events_model, dummy_image_model
from tests.support.processes import service_process
from tests.support.video_calls import chunks, exchange, start_with
from tests.support.video_clips import clip

MIB = 1 << 20
SIZES = ((320, 240), (640, 360))
RATE = 30
_PIECE_BYTES = 256 << 10
_LOG_LINES = 20


class NotMeasured(Exception):
    """There is no figure; the text says why."""


@dataclass
class Speed:
    """One measurement: seconds of the video, frames, seconds taken, peak resident bytes."""

    video_seconds: float
    frames: int
    seconds: float
    service_bytes: int
    decoder_bytes: int


async def measure(stub: Any, process: psutil.Process, video: bytes, features: list[int]) -> Speed:
    """Send a whole video as fast as it is taken, and watch the memory.

    Raises:
        NotMeasured: the service did not analyse all of it.
    """
    peaks = {"service": 0, "decoder": 0}

    async def watch() -> None:
        while True:
            peaks["service"] = max(peaks["service"], process.memory_info().rss)
            for child in process.children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    peaks["decoder"] = max(peaks["decoder"], child.memory_info().rss)
            await asyncio.sleep(0.2)

    async def sent() -> AsyncIterator[pb.AnalyzeVideoRequest]:
        yield start_with(features)
        for piece in chunks(video, _PIECE_BYTES):
            yield piece

    watcher = asyncio.create_task(watch())
    begin = time.monotonic()
    summary = pb.VideoSummary()
    problems = []
    try:
        async for response in exchange(stub.AnalyzeVideo(timeout=3_600), sent()):
            if response.HasField("problem"):
                problems.append(f"{response.problem.time_seconds:g} s: {response.problem.message}")
            if response.HasField("summary"):
                summary = response.summary
    except grpc.aio.AioRpcError as error:
        raise NotMeasured(f"the service ended the stream: {error.code().name}: {error.details()}") from error
    finally:
        watcher.cancel()
    seconds = time.monotonic() - begin
    if problems:
        raise NotMeasured("the video was not analysed as a whole: " + "; ".join(problems[:3]))
    return Speed(summary.analyzed_seconds, summary.decoded_frames, seconds, peaks["service"], peaks["decoder"])


async def run(minutes: float, is_tiny: bool) -> None:
    """Measure every size and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, object] = {"bundle_repository": folder, "access_log": "failures"}
        if is_tiny:
            dummy_events_model.write_events_model(Path(folder))
            dummy_image_model.write_image_model(Path(folder))
            names = {"default_events_model": dummy_events_model.NAME, "default_model": dummy_image_model.NAME}
            options |= {"model_repository": folder, **names}
        async with service_process("vision", **options) as service:
            port = (await service.event("listening"))["port"]
            await service.event("serving")
            pid = next(one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = vision_service_pb2_grpc.VisionServiceStub(channel)
                sys.stdout.write(
                    "clip                     features        frames/s   × real time   service   decoder\n"
                )
                for width, height in SIZES:
                    video = clip(minutes * 60, rate=RATE, width=width, height=height)
                    for name, features in (("events, cuts", [1, 2]), ("events … labels", [1, 2, 3, 7])):
                        try:
                            found = await measure(stub, psutil.Process(pid or 0), video, features)
                        except NotMeasured as error:
                            log = "\n".join(service.lines[-_LOG_LINES:])
                            sys.exit(f"{width}×{height}, {name}: {error}\nThe service's log ends with:\n{log}")
                        sys.stdout.write(
                            f"{width}×{height}, {found.video_seconds:4.0f} s   {name:18} "
                            f"{found.frames / found.seconds:8.0f}   {found.video_seconds / found.seconds:11.1f}   "
                            f"{found.service_bytes / MIB:4.0f} MiB   {found.decoder_bytes / MIB:3.0f} MiB\n"
                        )
                        sys.stdout.flush()


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.minutes, arguments.tiny))


if __name__ == "__main__":
    main()
