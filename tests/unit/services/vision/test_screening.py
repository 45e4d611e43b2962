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
from services.vision.pipelines.image_decoding import DecodedPicture
from services.vision.pipelines.image_screening import through_jpeg
from services.vision.pipelines.picture import reshape
from services.vision.pipelines.picture_shape import shape_of
from services.vision.settings import VisionSettings
from tests.support.clients import outcome_of
from tests.support.servers import running

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"
ROOT = Path(__file__).parents[4]
PICTURES = ROOT / "tests" / "data" / "pictures"


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    (tmp_path / "open-nsfw").symlink_to(ROOT / "services" / "vision" / "models" / "open-nsfw")
    settings = VisionSettings(
        port=0,
        model_repository=tmp_path,
        bundle_repository=tmp_path,
        default_model="open-nsfw",
        response_cache_bytes=1 << 20,
    )
    async with running(build(settings), settings) as server:
        yield vision_service_pb2_grpc.VisionServiceStub(server.channel)


async def test_pictures_are_screened_in_the_order_asked(stub: Stub) -> None:
    images = [pb.Image(content=(PICTURES / f"{name}.jpg").read_bytes()) for name in ("astronaut", "pagoda", "coffee")]
    reply = await stub.ScreenImage(pb.ScreenImageRequest(images=images))
    found = [result.unsafe_probability for result in reply.results]
    assert found[0] > found[2] > found[1]
    assert all(0 <= probability < 0.2 for probability in found)
    assert reply.report.model == "open-nsfw"
    alone = [await stub.ScreenImage(pb.ScreenImageRequest(images=[image], model="open-nsfw")) for image in images]
    assert [one.results[0].unsafe_probability for one in alone] == found
    again = await stub.ScreenImage(pb.ScreenImageRequest(images=images))
    assert again.report.cached
    assert list(again.results) == list(reply.results)


async def test_what_cannot_be_screened_is_refused(stub: Stub) -> None:
    good = pb.Image(content=(PICTURES / "cat.png").read_bytes())
    for request, field in (
        (pb.ScreenImageRequest(), "images"),
        (pb.ScreenImageRequest(images=[good] * 17), "images"),
        (pb.ScreenImageRequest(images=[good, pb.Image(content=good.content[:500])]), "images[1].content"),
    ):
        answered = await outcome_of(stub.ScreenImage(request))
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(answered.violations) == [field]
    answered = await outcome_of(stub.ScreenImage(pb.ScreenImageRequest(images=[good], model="efficientnet-lite0")))
    assert answered.code is grpc.StatusCode.NOT_FOUND


def test_the_middle_of_the_stretched_picture_is_seen() -> None:
    shape = shape_of({"side": 224, "resize_side": 256, "stretch": 1, "resample": 2})
    with Image.open(PICTURES / "coffee.jpg") as opened:
        picture = opened.convert("RGB")
    wanted = picture.resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
    pixels = numpy.asarray(picture)
    found = reshape(DecodedPicture(pixels, picture.width, picture.height), shape).pixels
    assert found.shape == (224, 224, 3)
    assert numpy.abs(found.astype(int) - numpy.asarray(wanted)).max() <= 3


def test_a_picture_through_jpeg_is_what_a_file_shows() -> None:
    with Image.open(PICTURES / "flower.jpg") as opened:
        pixels = numpy.asarray(opened.convert("RGB").resize((224, 224)))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    with Image.open(buffer) as decoded:
        assert (through_jpeg(pixels) == numpy.asarray(decoded)).all()
