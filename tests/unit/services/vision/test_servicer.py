from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import grpc
import numpy
import pytest
from PIL import Image

from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from services.vision.main import build
from services.vision.settings import VisionSettings
from tests.support.clients import health, outcome_of
from tests.support.dummy_detector import write_detector
from tests.support.dummy_image_model import NAME, write_image_model
from tests.support.servers import running

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"


def settings(models: Path) -> VisionSettings:
    return VisionSettings(
        port=0, model_repository=models, bundle_repository=models, default_model=NAME, maximum_image_pixels=100_000
    )


@pytest.fixture
async def stub(models: Path) -> AsyncIterator[Stub]:
    write_image_model(models)
    async with running(build(settings(models)), settings(models)) as server:
        yield vision_service_pb2_grpc.VisionServiceStub(server.channel)


def picture(colour: str, kind: str = "PNG", size: tuple[int, int] = (60, 40)) -> pb.Image:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return pb.Image(content=buffer.getvalue())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_each_picture_is_named_in_the_order_asked(stub: Stub, kind: str) -> None:
    colours = ["red", "blue", "lime", "red", "blue"]
    reply = await stub.ClassifyImage(pb.ClassifyImageRequest(images=[picture(colour, kind) for colour in colours]))
    assert [result.labels[0].label for result in reply.results] == ["red", "blue", "green", "red", "blue"]
    assert [result.labels[0].class_index for result in reply.results] == [0, 2, 1, 0, 2]
    assert (reply.report.model, reply.report.version) == (NAME, "1")
    assert reply.report.compute_microseconds > 0
    for result in reply.results:
        probabilities = [label.probability for label in result.labels]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("asked", "given"), [(0, 3), (1, 1), (2, 2), (100, 3), (2**31 - 1, 3)])
async def test_the_number_of_labels_is_coerced(stub: Stub, asked: int, given: int) -> None:
    reply = await stub.ClassifyImage(pb.ClassifyImageRequest(images=[picture("red")], top_count=asked))
    assert len(reply.results[0].labels) == given


async def test_vectors_have_length_one_and_point_where_the_colour_is(stub: Stub) -> None:
    reply = await stub.EmbedImage(pb.EmbedImageRequest(images=[picture("red"), picture("blue"), picture("white")]))
    found = [numpy.frombuffer(vector.values, "<f4") for vector in reply.vectors]
    assert reply.dimensions == 3
    assert found[0].tolist() == pytest.approx([1, 0, 0], abs=0.01)
    assert found[1].tolist() == pytest.approx([0, 0, 1], abs=0.01)
    assert numpy.linalg.norm(found[2]) == pytest.approx(1, abs=1e-5)


async def test_sixteen_pictures_are_answered_and_seventeen_refused(stub: Stub) -> None:
    reply = await stub.EmbedImage(pb.EmbedImageRequest(images=[picture("red")] * 16))
    assert len(reply.vectors) == 16
    answered = await outcome_of(stub.EmbedImage(pb.EmbedImageRequest(images=[picture("red")] * 17)))
    assert answered.violations == {"images": "has 17 entries; the limit is 16"}


async def test_a_bad_picture_is_named_among_good_ones(stub: Stub) -> None:
    good = picture("red")
    for images, field, reason in (
        ([good, pb.Image()], "images[1].content", "IMAGE_EMPTY"),
        ([good, good, pb.Image(content=b"text")], "images[2].content", "IMAGE_FORMAT_UNSUPPORTED"),
        ([pb.Image(content=good.content, content_type="image/jpeg")], "images[0].content_type", "IMAGE_MISLABELLED"),
        ([picture("red", size=(400, 300))], "images[0].content", "IMAGE_TOO_LARGE"),
    ):
        answered = await outcome_of(stub.ClassifyImage(pb.ClassifyImageRequest(images=images)))
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (list(answered.violations), answered.reason) == ([field], reason)
    assert (await outcome_of(stub.EmbedImage(pb.EmbedImageRequest(images=[good])))).code is grpc.StatusCode.OK


async def test_the_declared_content_type_may_be_right_or_empty(stub: Stub) -> None:
    images = [pb.Image(content=picture("red").content, content_type=kind) for kind in ("", "image/png")]
    assert len((await stub.EmbedImage(pb.EmbedImageRequest(images=images))).vectors) == 2


async def test_a_model_of_another_task_is_not_found_for_this_one(models: Path) -> None:
    write_image_model(models)
    write_detector(models, "other-task")
    async with running(build(settings(models)), settings(models)) as server:
        assert await health(server.channel) == "SERVING"
        stub = vision_service_pb2_grpc.VisionServiceStub(server.channel)
        request = pb.EmbedImageRequest(images=[picture("red")], model="other-task")
        answered = await outcome_of(stub.EmbedImage(request))
        assert answered.code is grpc.StatusCode.NOT_FOUND
        assert "it does object-detection; for this call there are: dummy-colours" in answered.message
