from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy
import pytest
from PIL import Image

from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from services.vision.main import build
from services.vision.pipelines.object_detection import best_objects
from services.vision.settings import VisionSettings
from tests.support.clients import outcome_of
from tests.support.dummy_detector import NAME, write_detector
from tests.support.dummy_image_model import NAME as COLOURS
from tests.support.dummy_image_model import write_image_model
from tests.support.servers import running

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"


def settings(models: Path) -> VisionSettings:
    return VisionSettings(
        port=0, model_repository=models, bundle_repository=models, default_model=COLOURS, default_objects_model=NAME
    )


@pytest.fixture
async def stub(models: Path) -> AsyncIterator[Stub]:
    write_image_model(models)
    write_detector(models)
    write_detector(models, "cropped-boxes", limits={"side": 32, "resize_side": 36})
    async with running(build(settings(models)), settings(models)) as server:
        yield vision_service_pb2_grpc.VisionServiceStub(server.channel)


def quarters(*colours: tuple[int, int, int], size: tuple[int, int] = (80, 40), **options: Any) -> pb.Image:
    """A picture of four quarters: left and right above, left and right below."""
    image = Image.new("RGB", (2, 2))
    image.putdata(colours)
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG", **options)
    return pb.Image(content=buffer.getvalue())


RED, GREEN, DIM, BLACK = (255, 0, 0), (0, 220, 0), (0, 0, 145), (0, 0, 0)


def seen(result: pb.ImageObjects) -> list[tuple[str, float, tuple[float, ...]]]:
    return [
        (one.label, round(one.score, 1), (one.box.left, one.box.top, one.box.right, one.box.bottom))
        for one in result.objects
    ]


async def test_objects_come_surest_first_with_boxes_inside_the_picture(stub: Stub) -> None:
    reply = await stub.DetectObjects(pb.DetectObjectsRequest(images=[quarters(DIM, GREEN, RED, BLACK)]))

    assert seen(reply.results[0]) == [
        ("red", 1.0, (0.0, 0.5, 0.5, 1.0)),
        ("green", 0.9, (0.5, 0.0, 1.0, 0.5)),
        ("blue", 0.6, (0.0, 0.0, 0.5, 0.5)),
    ]
    assert (reply.results[0].width, reply.results[0].height) == (80, 40)
    assert (reply.report.model, reply.report.version) == (NAME, "1")


async def test_each_picture_has_its_own_objects_and_size(stub: Stub) -> None:
    images = [quarters(RED, BLACK, BLACK, BLACK, size=(20 + 10 * index, 40)) for index in range(5)]
    images[3] = quarters(BLACK, BLACK, BLACK, BLACK, size=(50, 40))

    reply = await stub.DetectObjects(pb.DetectObjectsRequest(images=images))

    assert [(result.width, result.height) for result in reply.results] == [(20 + 10 * index, 40) for index in range(5)]
    assert [len(result.objects) for result in reply.results] == [1, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("score", "count", "labels"),
    [
        (None, 0, ["red", "green", "blue"]),
        (0.7, 0, ["red", "green"]),
        (1.0, 0, ["red"]),
        (0.0, 0, ["red", "green", "blue", "red"]),
        (None, 2, ["red", "green"]),
        (None, 2**31 - 1, ["red", "green", "blue"]),
    ],
)
async def test_the_least_score_and_the_count_cut_off(
    stub: Stub, score: float | None, count: int, labels: list[str]
) -> None:
    images = [quarters(DIM, GREEN, RED, BLACK)]

    reply = await stub.DetectObjects(pb.DetectObjectsRequest(images=images, minimum_score=score, top_count=count))

    assert [one.label for one in reply.results[0].objects] == labels


@pytest.mark.parametrize("orientation", [3, 6, 8])
async def test_boxes_lie_in_the_picture_as_it_is_shown(stub: Stub, orientation: int) -> None:
    stored = {3: (BLACK, BLACK, BLACK, RED), 6: (BLACK, BLACK, RED, BLACK), 8: (BLACK, RED, BLACK, BLACK)}[orientation]
    tags = Image.Exif()
    tags[0x0112] = orientation

    reply = await stub.DetectObjects(pb.DetectObjectsRequest(images=[quarters(*stored, exif=tags)]))

    assert seen(reply.results[0]) == [("red", 1.0, (0.0, 0.0, 0.5, 0.5))]
    shown = (reply.results[0].width, reply.results[0].height)
    assert shown == ((80, 40) if orientation == 3 else (40, 80))


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf")])
async def test_a_least_score_out_of_range_is_named_with_the_range(stub: Stub, score: float) -> None:
    request = pb.DetectObjectsRequest(images=[quarters(RED, RED, RED, RED)], minimum_score=score, top_count=-1)

    answered = await outcome_of(stub.DetectObjects(request))

    assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
    assert sorted(answered.violations) == ["minimum_score", "top_count"]
    assert "0 to 1" in answered.violations["minimum_score"]


async def test_other_models_find_no_objects_and_a_detector_names_no_picture(stub: Stub) -> None:
    images = [quarters(RED, RED, RED, RED)]

    no_detector = await outcome_of(stub.DetectObjects(pb.DetectObjectsRequest(images=images, model=COLOURS)))
    no_namer = await outcome_of(stub.ClassifyImage(pb.ClassifyImageRequest(images=images, model=NAME)))
    crops = await outcome_of(stub.DetectObjects(pb.DetectObjectsRequest(images=images, model="cropped-boxes")))

    assert no_detector.code is grpc.StatusCode.NOT_FOUND
    assert "it does image-recognition" in no_detector.message
    assert no_namer.code is grpc.StatusCode.NOT_FOUND
    assert crops.code is not grpc.StatusCode.OK


def test_a_query_stands_for_its_best_class_and_boxes_are_never_turned_inside_out() -> None:
    scores = numpy.array([[0.6, 0.7], [0.2, 0.1], [0.7, 0.7]], numpy.float32)
    boxes = numpy.array([[0.9, -3, 0.1, 2], [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]], numpy.float32)

    found = best_objects(scores, boxes, ["cat", "dog"], 0.7, 10)

    assert [(one.label, round(one.score, 4)) for one in found] == [("dog", 0.7), ("cat", 0.7)]
    box = found[0].box
    assert (round(box.left, 4), box.top, round(box.right, 4), box.bottom) == (0.9, 0.0, 0.9, 1.0)
