"""What the vision service adds to the models that look at pictures: `python -m tests.load.vision_overhead`.

Starts the service as a process, asks each model about one picture a call from 1, 8 and 32 callers at once, and compares
the processor time of the service's process with that of the same decoding and run inside this process. Processor time,
so other programs on the machine disturb it little. Each picture is another file, so no cache answers.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1.vision_service_pb2_grpc import VisionServiceStub
from services.cli.ports import free_ports
from services.runtime.pipeline import Pipeline
from services.runtime.sources import REPOSITORY_ROOT
from services.vision.pipelines.face_detection import FaceDetectionPipeline, FaceQuery
from services.vision.pipelines.image_decoding import DEFAULT_LIMITS
from services.vision.pipelines.image_recognition import ImageRecognitionPipeline
from services.vision.pipelines.image_screening import ImageScreeningPipeline
from services.vision.pipelines.object_detection import ObjectDetectionPipeline
from tests.load.benchmark.server_process import ServerProcess, environment, python, serves_health
from tests.support.repositories import load_on_cpu

CALLERS = (1, 8, 32)
_PICTURE = REPOSITORY_ROOT / "tests" / "data" / "pictures" / "coffee.jpg"
_MODELS = REPOSITORY_ROOT / "services" / "vision" / "models"
_SECONDS = 120.0


@dataclass(frozen=True)
class Asked:
    """A call, the model that answers it, and how both are used."""

    call: str
    model: str
    pipeline: Callable[[Any, Any], Pipeline[Any, Any, Any, Any]]
    request: Callable[..., Any]
    query: Callable[[list[pb.Image]], object] = list

    def ask(self, stub: VisionServiceStub, image: pb.Image) -> object:
        """Ask about one picture."""
        return getattr(stub, self.call)(self.request(images=[image]), timeout=_SECONDS)

    def in_process(self) -> Callable[[pb.Image], object]:
        """Return decoding and run without a service."""
        pipeline = self.pipeline(load_on_cpu(_MODELS / self.model / "1"), DEFAULT_LIMITS)

        def work(image: pb.Image) -> object:
            return [pipeline.run(batch) for batch in pipeline.prepare(self.query([image])).batches]

        return work


def calls() -> Sequence[Asked]:
    """Return the calls whose models are there."""
    known = [
        *(
            Asked("ClassifyImage", name, ImageRecognitionPipeline, partial(pb.ClassifyImageRequest, model=name))
            for name in ("efficientnet-lite0", "vit-atari-games", "vit-fashion-mnist")
        ),
        Asked("EmbedImage", "efficientnet-lite0", ImageRecognitionPipeline, pb.EmbedImageRequest),
        Asked("DetectObjects", "doom-detector", ObjectDetectionPipeline, pb.DetectObjectsRequest),
        Asked("ScreenImage", "open-nsfw", ImageScreeningPipeline, pb.ScreenImageRequest),
        Asked("DetectFaces", "centerface", FaceDetectionPipeline, pb.DetectFacesRequest, FaceQuery),
    ]
    return [one for one in known if (_MODELS / one.model).is_dir()]


def main() -> None:
    """Prints a line for each call and number of callers."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.vision_overhead", description=__doc__)
    parser.add_argument("--calls", type=int, default=400, help="calls of each kind and number of callers (%(default)s)")
    count = parser.parse_args().calls
    pictures = fresh_pictures()
    print("processor µs a picture               callers  in-process    service      above    share")
    with service() as process, grpc.insecure_channel(process.address) as channel:
        stub = VisionServiceStub(channel)
        for asked in calls():
            limit = _in_process(asked.in_process(), pictures, count)
            for callers in CALLERS:
                used = _of_service(process, partial(asked.ask, stub), pictures, count, callers)
                print(
                    f"{asked.call:14s} {asked.model:22s} {callers:6d} {limit:11,.0f} {used:10,.0f} "
                    f"{used - limit:+10,.0f} {used / limit - 1:+8.1%}",
                    flush=True,
                )


def fresh_pictures() -> Iterator[pb.Image]:
    """Yield one photograph in files that differ by a comment."""
    content = _PICTURE.read_bytes()
    for number in itertools.count():
        # A comment segment of ten bytes behind the start of image (ITU-T T.81, B.2.4.5).
        yield pb.Image(content=content[:2] + b"\xff\xfe\x00\x0a" + f"{number:08d}".encode() + content[2:])


@contextmanager
def service() -> Iterator[ServerProcess]:
    """Run the vision service with one engine."""
    with tempfile.TemporaryDirectory(prefix="marquee-overhead-") as folder:
        (port,) = free_ports("127.0.0.1", 1)
        variables = {
            "MARQUEE_VISION_PORT": str(port),
            "MARQUEE_VISION_ENGINES": "1",
            "MARQUEE_VISION_FACES_TENANTS": "*",
            # 32 callers wait for one engine.
            "MARQUEE_VISION_MAXIMUM_QUEUE_MILLISECONDS": "60000",
            "MARQUEE_DATA_DIRECTORY": folder,
        }
        command = [python(), "-P", "-m", "services.vision.main"]
        process = ServerProcess(
            "vision", command, port, environment(**variables), REPOSITORY_ROOT, Path(folder) / "vision.log"
        )
        try:
            process.start()
            process.wait(lambda: serves_health(process.address))
            yield process
        finally:
            process.stop()


def _in_process(work: Callable[[pb.Image], object], pictures: Iterator[pb.Image], count: int) -> float:
    for image in itertools.islice(pictures, max(1, count // 10)):
        work(image)
    begun = time.process_time()
    for image in itertools.islice(pictures, count):
        work(image)
    return (time.process_time() - begun) / count * 1e6


def _of_service(
    process: ServerProcess,
    call: Callable[[pb.Image], object],
    pictures: Iterator[pb.Image],
    count: int,
    callers: int,
) -> float:
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, itertools.islice(pictures, max(callers, count // 10))))
        before = process.tree.processor_seconds()
        list(pool.map(call, itertools.islice(pictures, count)))
        return (process.tree.processor_seconds() - before) / count * 1e6


if __name__ == "__main__":
    main()
