"""Open and cut video streams at random for a while, and watch the memory of the service: `make video-soak`.

Callers finish, leave, close early, send damage, or read slowly. Afterwards, and between, memory must be flat and every
decoder process gone. Exits with status 1 when it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

from marquee.vision.v1 import video_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from tests.support import dummy_events_model, dummy_image_model
from tests.support.clients import failure
from tests.support.processes import service_process
from tests.support.video_calls import Stub, chunks, exchange, start_with
from tests.support.video_clips import clip

KINDS = ("whole", "cancel", "half-close", "corrupt", "slow")
MIB = 1 << 20
# The first part of a soak fills pools and caches; what comes later must not be larger by more than this.
ALLOWED_GROWTH_BYTES = 24 * MIB
_WARM_PART = 0.4


@dataclass
class Soak:
    """What a soak saw.

    Attributes:
        samples: seconds since its begin, resident bytes of the service, decoder processes.
        endings: number of streams by kind and status.
        left_over: decoder processes after the last stream.
    """

    samples: list[tuple[float, int, int]] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    left_over: int = 0

    @property
    def growth_bytes(self) -> int:
        """Median of the last quarter less that of the quarter after the warm part."""
        warm = self.samples[int(len(self.samples) * _WARM_PART) :]
        quarter = max(1, len(warm) // 4)
        first, last = ([size for _, size, _ in part] for part in (warm[:quarter], warm[-quarter:]))
        return sorted(last)[len(last) // 2] - sorted(first)[len(first) // 2]

    @property
    def is_flat(self) -> bool:
        """Whether memory stayed and nothing is left over."""
        return self.growth_bytes <= ALLOWED_GROWTH_BYTES and not self.left_over


async def soak(seconds: float, callers: int, seed: int = 1) -> Soak:
    """Run a service of its own with tiny models under `callers` callers for some seconds."""
    found = Soak()
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        dummy_events_model.write_events_model(models)
        dummy_image_model.write_image_model(models)
        names = {"default_events_model": dummy_events_model.NAME, "default_model": dummy_image_model.NAME}
        options = {"model_repository": models, "bundle_repository": models, "access_log": "failures", **names}
        async with service_process("vision", **options) as service:
            port = (await service.event("listening"))["port"]
            await service.event("serving")
            pid = next(one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port)
            process = psutil.Process(pid)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = vision_service_pb2_grpc.VisionServiceStub(channel)
                begin = time.monotonic()
                work = [
                    asyncio.create_task(_call(stub, random.Random(seed + one), begin + seconds, found))
                    for one in range(callers)
                ]
                while not all(task.done() for task in work):
                    found.samples.append((time.monotonic() - begin, *_measure(process)))
                    await asyncio.sleep(min(2.0, seconds / 20))
                await asyncio.gather(*work)
            for _ in range(100):
                found.left_over = _measure(process)[1]
                if not found.left_over:
                    break
                await asyncio.sleep(0.1)
    return found


async def _call(stub: Stub, dice: random.Random, until: float, found: Soak) -> None:
    while time.monotonic() < until:
        kind = dice.choice(KINDS)
        video = clip(dice.choice((2, 4)), dice.choice(("fragmented", "webm", "mpegts", "mp4")))
        if kind == "corrupt":
            place = dice.randrange(len(video) // 4, len(video) - 200)
            video = video[:place] + dice.randbytes(200) + video[place + 200 :]
        pieces = chunks(video, dice.choice((1_000, 4_096, 65_536)))
        if kind in ("cancel", "half-close"):
            pieces = pieces[: dice.randrange(len(pieces) + 1)]
        call = stub.AnalyzeVideo(timeout=60)
        if kind == "cancel":
            asyncio.get_running_loop().call_later(dice.uniform(0, 1), call.cancel)
        try:
            async for _ in exchange(call, _sent(pieces, dice)):
                if kind == "slow":
                    await asyncio.sleep(0.05)
            ending = "OK"
        except grpc.aio.AioRpcError as error:
            ending = f"{error.code().name} {failure(error).reason}".rstrip()
        except asyncio.CancelledError:
            ending = "CANCELLED"
        found.endings[f"{kind}: {ending}"] += 1


async def _sent(pieces: list[pb.AnalyzeVideoRequest], dice: random.Random) -> AsyncIterator[pb.AnalyzeVideoRequest]:
    yield start_with(checkpoint_interval_seconds=dice.choice((0, 1)))
    for piece in pieces:
        await asyncio.sleep(dice.choice((0, 0, 0.01)))
        yield piece


def _measure(process: psutil.Process) -> tuple[int, int]:
    """Return the resident bytes of the service and the number of its decoders."""
    return process.memory_info().rss, len(process.children())


def main() -> None:
    """Run a soak and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--callers", type=int, default=6)
    arguments = parser.parse_args()
    found = asyncio.run(soak(arguments.minutes * 60, arguments.callers))
    step = max(1, len(found.samples) // 30)
    sys.stdout.write("seconds   service MiB   decoders\n")
    for seconds, size, decoders in found.samples[::step]:
        sys.stdout.write(f"{seconds:7.0f}   {size / MIB:11.1f}   {decoders:8d}\n")
    for ending, count in sorted(found.endings.items()):
        sys.stdout.write(f"{count:7d}   {ending}\n")
    sys.stdout.write(f"growth {found.growth_bytes / MIB:.1f} MiB, decoders left over {found.left_over}\n")
    sys.exit(0 if found.is_flat else 1)


if __name__ == "__main__":
    main()
