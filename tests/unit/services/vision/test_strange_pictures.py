"""Every call that takes pictures, over the wire, with pictures as they come from the world."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy
import pytest
from PIL import Image

from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from services.vision.main import build
from services.vision.pipelines.image_decoding import DEFAULT_LIMITS
from services.vision.pipelines.image_recognition import ImageRecognitionPipeline
from services.vision.pipelines.picture import DecodedPicture
from services.vision.pipelines.picture_request import Picture
from services.vision.settings import VisionSettings
from tests.support.clients import health, outcome_of
from tests.support.dummy_detector import NAME as BOXES
from tests.support.dummy_detector import write_detector
from tests.support.dummy_image_model import NAME as COLOURS
from tests.support.dummy_image_model import SIDE, write_image_model
from tests.support.repositories import load_on_cpu
from tests.support.servers import running
from tests.support.strange_pictures import SIZE, bad_pictures, encoded, plain, unusual_pictures

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"
CALLS: dict[str, Any] = {
    "ClassifyImage": pb.ClassifyImageRequest,
    "EmbedImage": pb.EmbedImageRequest,
    "DetectObjects": pb.DetectObjectsRequest,
    "DetectFaces": partial(pb.DetectFacesRequest, expressions=True),
    "ScreenImage": pb.ScreenImageRequest,
}
# Those that have no tiny stand-in are asked themselves.
REAL = ("centerface", "mini-xception-expression", "open-nsfw")
REAL_MODELS = Path(__file__).parents[4] / "services" / "vision" / "models"


@pytest.fixture
async def stub(models: Path) -> AsyncIterator[Stub]:
    write_image_model(models)
    write_image_model(models, "stretched-colours", limits={"side": SIDE, "resize_side": 0})
    write_detector(models)
    for name in REAL:
        (models / name).symlink_to(REAL_MODELS / name)
    settings = VisionSettings(
        port=0,
        model_repository=models,
        bundle_repository=models,
        default_model=COLOURS,
        default_objects_model=BOXES,
        faces_tenants="*",
    )
    async with running(build(settings), settings) as server:
        yield vision_service_pb2_grpc.VisionServiceStub(server.channel)
        assert await health(server.channel) == "SERVING"


@pytest.mark.parametrize("call", CALLS)
async def test_unusual_pictures_are_answered(stub: Stub, call: str) -> None:
    for what, content in unusual_pictures().items():
        answered = await outcome_of(getattr(stub, call)(CALLS[call](images=[pb.Image(content=content)])))

        assert answered.code is grpc.StatusCode.OK, f"{what}: {answered.message}"


@pytest.mark.parametrize("call", CALLS)
async def test_bad_pictures_are_refused_by_name_and_the_next_call_is_answered(stub: Stub, call: str) -> None:
    good = pb.Image(content=encoded(plain(), "JPEG"))
    for what, (image, reason, field) in bad_pictures().items():
        begun = time.perf_counter()
        answered = await outcome_of(getattr(stub, call)(CALLS[call](images=[good, image])))

        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT, what
        assert (answered.reason, list(answered.violations)) == (reason, [f"images[1].{field}"]), what
        assert time.perf_counter() - begun < 10, what
        assert not any(word in answered.message for word in ("Error", "Traceback", "PIL")), answered.message
    assert (await outcome_of(getattr(stub, call)(CALLS[call](images=[good])))).code is grpc.StatusCode.OK


async def test_colours_survive_every_form(stub: Stub) -> None:
    pictures = unusual_pictures()
    red = [pictures[name] for name in ("one pixel", "CMYK", "a palette", "alpha", "an animation", "turned")]

    reply = await stub.ClassifyImage(pb.ClassifyImageRequest(images=[pb.Image(content=content) for content in red]))

    assert [result.labels[0].label for result in reply.results] == ["red"] * len(red)


async def test_a_turned_picture_has_its_size_as_shown(stub: Stub) -> None:
    images = [pb.Image(content=unusual_pictures()["turned"])]

    reply = await stub.DetectObjects(pb.DetectObjectsRequest(images=images))

    assert (reply.results[0].width, reply.results[0].height) == (SIZE[1], SIZE[0])


async def test_a_model_that_sees_the_whole_picture_sees_its_ends(stub: Stub) -> None:
    image = Image.new("RGB", (90, 30), "blue")
    image.paste(Image.new("RGB", (30, 30), "red"), (30, 0))
    images = [pb.Image(content=encoded(image))]

    cut = await stub.ClassifyImage(pb.ClassifyImageRequest(images=images))
    whole = await stub.ClassifyImage(pb.ClassifyImageRequest(images=images, model="stretched-colours"))

    assert cut.results[0].labels[0].label == "red"
    assert whole.results[0].labels[0].label == "blue"
    assert whole.report.model == "stretched-colours"


def test_decoded_pixels_get_the_answer_of_a_file_of_them(models: Path) -> None:
    pipeline = ImageRecognitionPipeline(load_on_cpu(write_image_model(models)), DEFAULT_LIMITS)
    random = numpy.random.default_rng(0).integers(0, 256, (40, 60, 3), numpy.uint8)
    pictures: list[Picture] = [pb.Image(content=encoded(Image.fromarray(random))), DecodedPicture(random, 60, 40)]

    prepared = pipeline.prepare([*pictures, *pictures])
    found = pipeline.finish(prepared, [pipeline.run(batch) for batch in prepared.batches])

    assert [len(batch) for batch in prepared.batches] == [2, 2]
    assert (found.probabilities == found.probabilities[0]).all()
    assert found.vectors.shape == (4, 3)
