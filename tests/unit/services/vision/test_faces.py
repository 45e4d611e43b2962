from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy
import pytest
from PIL import Image

from inference import open_inference_pb2 as oip
from inference import open_inference_pb2_grpc
from marquee.vision.v1 import vision_service_pb2 as pb
from marquee.vision.v1 import vision_service_pb2_grpc
from services.vision.main import build
from services.vision.pipelines.face_crop import grey_square
from services.vision.pipelines.face_detection import (
    CELLS,
    FaceDetectionPipeline,
    FaceQuery,
    PictureFaces,
    decode_cells,
    without_overlaps,
)
from services.vision.pipelines.image_decoding import DecodedPicture, ImageLimits
from services.vision.pipelines.picture_request import Picture
from services.vision.settings import VisionSettings
from tests.support.clients import outcome_of
from tests.support.repositories import load_on_cpu
from tests.support.servers import running

Stub: TypeAlias = "vision_service_pb2_grpc.VisionServiceAsyncStub"
ROOT = Path(__file__).parents[4]
MODELS = ROOT / "services" / "vision" / "models"
PICTURES = ROOT / "tests" / "data" / "pictures"
# Left, top, right and bottom of the heads that a person sees, in parts of the picture.
HEADS = {
    "astronaut": (0.33, 0.02, 0.56, 0.37),
    "officer": (0.25, 0.05, 0.75, 0.62),
    "photographer": (0.35, 0.17, 0.55, 0.43),
}
TENANT = (("x-marquee-tenant", "studio"),)


def photograph(name: str, **options: Any) -> pb.Image:
    return pb.Image(content=(PICTURES / f"{name}.jpg").read_bytes(), **options)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> pb.Image:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return pb.Image(content=buffer.getvalue())


@asynccontextmanager
async def vision(
    repository: Path, tenants: str = "default", **options: Any
) -> AsyncIterator[tuple[Stub, grpc.aio.Channel]]:
    for name in ("centerface", "mini-xception-expression"):
        if not (repository / name).exists():
            (repository / name).symlink_to(MODELS / name)
    settings = VisionSettings(
        port=0,
        model_repository=repository,
        bundle_repository=repository,
        default_model="centerface",
        faces_tenants=tenants,
        **options,
    )
    async with running(build(settings), settings) as server:
        yield vision_service_pb2_grpc.VisionServiceStub(server.channel), server.channel


@pytest.fixture(scope="module")
def detector() -> FaceDetectionPipeline:
    return FaceDetectionPipeline(load_on_cpu(MODELS / "centerface" / "1"), ImageLimits())


def find(detector: FaceDetectionPipeline, *pictures: Picture, **options: Any) -> list[PictureFaces]:
    prepared = detector.prepare(FaceQuery(pictures, **options))
    return detector.finish(prepared, [detector.run(batch) for batch in prepared.batches])


async def test_nobodys_faces_are_looked_for_until_the_operator_says_so(tmp_path: Path) -> None:
    # What is refused is not even decoded: this is no picture.
    request = pb.DetectFacesRequest(images=[pb.Image(content=b"no picture")])
    async with vision(tmp_path, tenants="") as (stub, _):
        refused = await outcome_of(stub.DetectFaces(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "FACES_NOT_ALLOWED")
        assert refused.metadata == {"tenant": "default", "setting": "MARQUEE_VISION_FACES_TENANTS"}
        assert "MARQUEE_VISION_FACES_TENANTS" in refused.message
    async with vision(tmp_path, tenants="other, studio") as (stub, _):
        assert (await outcome_of(stub.DetectFaces(request))).code is grpc.StatusCode.PERMISSION_DENIED
        allowed = await outcome_of(stub.DetectFaces(request, metadata=TENANT))
        assert (allowed.code, allowed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_FORMAT_UNSUPPORTED")
    async with vision(tmp_path, tenants="*") as (stub, _):
        assert (await outcome_of(stub.DetectFaces(request))).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_tensors_of_faces_need_the_same_permission(tmp_path: Path) -> None:
    tensor = oip.ModelInferRequest.InferInputTensor(name="faces", datatype="UINT8", shape=[1, 64, 64, 1])
    request = oip.ModelInferRequest(
        model_name="mini-xception-expression", inputs=[tensor], raw_input_contents=[bytes(64 * 64)]
    )
    async with vision(tmp_path, tenants="studio", response_cache_bytes=1 << 20) as (_, channel):
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        refused = await outcome_of(stub.ModelInfer(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "FACES_NOT_ALLOWED")
        for _ in range(2):
            assert (await outcome_of(stub.ModelInfer(request, metadata=TENANT))).code is grpc.StatusCode.OK
        statistics = await stub.ModelStatistics(oip.ModelStatisticsRequest(name=request.model_name))
        # Not even the answers to tensors are kept.
        assert statistics.model_stats[0].inference_stats.cache_hit.count == 0


async def test_faces_are_found_with_their_points_and_what_they_show(tmp_path: Path) -> None:
    names = [*HEADS, "coffee"]
    async with vision(tmp_path, response_cache_bytes=1 << 20) as (stub, _):
        request = pb.DetectFacesRequest(images=[photograph(name) for name in names], expressions=True)
        reply = await stub.DetectFaces(request)
        again = await stub.DetectFaces(request)
        plain = await stub.DetectFaces(pb.DetectFacesRequest(images=request.images))
        nobody = await stub.DetectFaces(pb.DetectFacesRequest(images=[photograph("coffee")], expressions=True))
    assert [len(result.faces) for result in reply.results] == [1, 1, 1, 0]
    assert [(result.width, result.height) for result in reply.results] == [
        (320, 320),
        (273, 320),
        (320, 320),
        (320, 213),
    ]
    for head, result in zip(HEADS.values(), reply.results, strict=False):
        (face,) = result.faces
        assert 0.5 <= face.score <= 1
        assert head[0] < face.box.left < face.box.right < head[2]
        assert head[1] < face.box.top < face.box.bottom < head[3]
        assert len(face.landmarks) == 5
        left_eye, right_eye, nose, *mouth = face.landmarks
        assert left_eye.x < right_eye.x
        assert max(left_eye.y, right_eye.y) < nose.y < min(corner.y for corner in mouth)
        assert {one.label for one in face.expressions} == {
            "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral",
        }  # fmt: skip
        probabilities = [one.probability for one in face.expressions]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert reply.results[0].faces[0].expressions[0].label == "happy"
    assert (reply.report.model, reply.expression_report.model) == ("centerface", "mini-xception-expression")
    # Nothing of a face is kept, not even in the response cache.
    assert list(again.results) == list(reply.results)
    assert not again.report.cached
    assert not again.expression_report.cached
    assert not plain.results[0].faces[0].expressions
    assert not plain.HasField("expression_report")
    assert [list(result.faces) for result in nobody.results] == [[]]
    assert not nobody.HasField("expression_report")


async def test_scores_and_counts_are_checked_and_obeyed(tmp_path: Path) -> None:
    with Image.open(PICTURES / "officer.jpg") as opened:
        one = opened.convert("RGB")
    both = Image.new("RGB", (2 * one.width, one.height))
    both.paste(one, (0, 0))
    both.paste(one, (one.width, 0))
    images = [encoded(both)]
    async with vision(tmp_path) as (stub, _):
        assert len((await stub.DetectFaces(pb.DetectFacesRequest(images=images))).results[0].faces) == 2
        first = await stub.DetectFaces(pb.DetectFacesRequest(images=images, top_count=1))
        assert len(first.results[0].faces) == 1
        none = await stub.DetectFaces(pb.DetectFacesRequest(images=images, minimum_score=1.0))
        assert not none.results[0].faces
        many = await stub.DetectFaces(pb.DetectFacesRequest(images=images, minimum_score=0.0, top_count=2**31 - 1))
        scores = [face.score for face in many.results[0].faces]
        assert 2 < len(scores) <= 300
        assert scores == sorted(scores, reverse=True)
        for options, field in (
            ({"top_count": -1}, "top_count"),
            ({"minimum_score": 1.5}, "minimum_score"),
            ({"minimum_score": float("nan")}, "minimum_score"),
        ):
            answered = await outcome_of(stub.DetectFaces(pb.DetectFacesRequest(images=images, **options)))
            assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
            assert list(answered.violations) == [field]
        answered = await outcome_of(stub.DetectFaces(pb.DetectFacesRequest()))
        assert list(answered.violations) == ["images"]


def test_an_answer_depends_neither_on_company_nor_on_the_file(detector: FaceDetectionPipeline) -> None:
    pictures = [photograph(name) for name in ("astronaut", "coffee", "officer")]
    together = find(detector, *pictures, crop_side=64)
    for picture, expected in zip(pictures, together, strict=True):
        (alone,) = find(detector, picture, crop_side=64)
        assert alone.boxes.tolist() == expected.boxes.tolist()
        assert alone.crops.tolist() == expected.crops.tolist()
        with Image.open(io.BytesIO(picture.content)) as opened:
            pixels = numpy.asarray(opened.convert("RGB"))
        (decoded,) = find(detector, DecodedPicture(pixels, pixels.shape[1], pixels.shape[0]), crop_side=64)
        assert decoded.boxes.tolist() == expected.boxes.tolist()
        assert decoded.crops.tolist() == expected.crops.tolist()
        # Without squares the picture is not kept at its own size; the faces are the same.
        (without,) = find(detector, picture)
        assert without.boxes == pytest.approx(expected.boxes, abs=0.01)
        assert without.crops.shape == (0, 0, 0)


def test_a_turned_picture_has_its_faces_where_it_shows_them(detector: FaceDetectionPipeline) -> None:
    with Image.open(PICTURES / "officer.jpg") as opened:
        upright = opened.convert("RGB")
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6
    expected, found = find(detector, encoded(upright), encoded(stored, exif=exif))
    assert (found.width, found.height) == (upright.width, upright.height)
    assert found.boxes == pytest.approx(expected.boxes, abs=0.01)


def test_large_wide_and_tiny_pictures(detector: FaceDetectionPipeline) -> None:
    with Image.open(PICTURES / "officer.jpg") as opened:
        officer = opened.convert("RGB")
    large = officer.resize((2_184, 2_560), Image.Resampling.BICUBIC)
    dot, line, found = find(
        detector,
        encoded(Image.new("RGB", (1, 1), "white")),
        encoded(Image.new("RGB", (3_000, 2), "white")),
        encoded(large, "JPEG"),
        crop_side=64,
    )
    assert (len(dot.scores), len(line.scores), len(found.scores)) == (0, 0, 1)
    assert (found.width, found.height) == (2_184, 2_560)
    (expected,) = find(detector, encoded(officer))
    assert found.boxes == pytest.approx(expected.boxes, abs=0.03)


def test_cells_are_read_as_the_authors_say() -> None:
    side = 32
    heat = numpy.zeros((1, side, side), numpy.float32)
    heat[0, 10, 20], heat[0, 3, 4] = 0.9, 0.7
    sizes = numpy.zeros((2, side, side), numpy.float32)
    sizes[:, 10, 20] = numpy.log(6), numpy.log(5)
    sizes[0, 0, 0] = 1e30
    offsets = numpy.zeros((2, side, side), numpy.float32)
    offsets[:, 10, 20] = 0.25, -0.5
    points = numpy.zeros((10, side, side), numpy.float32)
    points[:2, 10, 20] = 0.5, 0.25
    scores, boxes, at = decode_cells(heat, sizes, offsets, points)
    assert scores.shape == (CELLS,)
    assert scores[:3].tolist() == pytest.approx([0.9, 0.7, 0.0])
    # Height 24 and width 20 around (80, 43).
    assert boxes[0].tolist() == pytest.approx([70, 31, 90, 55])
    assert at[0, 0].tolist() == pytest.approx([75, 43])
    assert boxes[1].tolist() == pytest.approx([16, 12, 20, 16])
    assert numpy.isfinite(boxes).all()


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = numpy.array(
        [[0, 0, 10, 10], [1, 1, 11, 11], [8, 8, 18, 18], [40, 40, 50, 50], [0, 0, 10, 9]], numpy.float32
    )
    assert without_overlaps(boxes) == [0, 2, 3]
    assert without_overlaps(boxes[:0]) == []


def test_the_square_around_a_face_is_grey_and_reaches_beyond_the_picture() -> None:
    pixels = numpy.zeros((100, 200, 3), numpy.uint8)
    pixels[20:60, 50:80] = 255
    square = grey_square(pixels, numpy.array([0.25, 0.2, 0.4, 0.6], numpy.float32), 48)
    assert square.shape == (48, 48)
    assert square.dtype == numpy.uint8
    # The box of 30 × 40 pixels is white in a square of 48.
    assert (square[24, [2, 24, 45]] == [0, 255, 0]).all()
    assert (square[[1, 46], 24] == 0).all()
    pixels[-2:] = 90
    corner = grey_square(pixels, numpy.array([0.9, 0.8, 1.0, 1.0], numpy.float32), 48)
    assert corner[-1, -1] == 90
    assert grey_square(pixels, numpy.array([0.5, 0.5, 0.5, 0.5], numpy.float32), 48).shape == (48, 48)
