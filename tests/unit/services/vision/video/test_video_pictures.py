"""Faces, safety and objects of a video's sampled frames: the same as of single pictures, and for the same tenants."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest
import pytest_asyncio
from PIL import Image

from marquee.vision.v1 import video_pb2 as pb
from marquee.vision.v1 import vision_service_pb2 as vision_pb
from tests.support.dummy_detector import NAME as DETECTOR
from tests.support.dummy_detector import write_detector
from tests.support.video_calls import Answers, VideoService, analyze, ask, start_with, video_service
from tests.support.video_clips import film

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[5]
MODELS = ROOT / "services" / "vision" / "models"
FACES, SAFETY, OBJECTS = pb.VIDEO_FEATURE_FACES, pb.VIDEO_FEATURE_SAFETY, pb.VIDEO_FEATURE_OBJECTS
LABELS = pb.VIDEO_FEATURE_LABELS
STUDIO = (("x-marquee-tenant", "studio"),)
SHOWN = ("faces", "unsafe_probability", "objects", "labels", "events", "games")


def photograph() -> Image.Image:
    with Image.open(ROOT / "tests" / "data" / "pictures" / "astronaut.jpg") as picture:
        return picture.convert("RGB")


def empty() -> Image.Image:
    return Image.new("RGB", photograph().size, (250, 250, 250))


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def frames(pictures: Sequence[Image.Image]) -> list[pb.AnalyzeVideoRequest]:
    """A second of each picture."""
    return [
        pb.AnalyzeVideoRequest(frame=pb.VideoFrame(time_seconds=time, content=png(picture)))
        for time, picture in enumerate(pictures)
    ]


def shown(segment: Any) -> set[str]:
    return {one.name for one, _ in segment.ListFields() if one.name in SHOWN}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VideoService]:
    """The tests' detector and the committed models of faces and safety; faces are for one tenant."""
    models = tmp_path_factory.mktemp("models")
    for name in ("centerface", "mini-xception-expression", "open-nsfw"):
        (models / name).symlink_to(MODELS / name)
    write_detector(models)
    async with video_service(models, default_objects_model=DETECTOR, faces_tenants="studio") as running:
        yield running


async def see(service: VideoService, features: Sequence[Any], **options: Any) -> Answers:
    """Analyse a second with somebody in it, one with nobody, and one with somebody again."""
    return await ask(
        service.stub, [start_with(features), *frames([photograph(), empty(), photograph()])], metadata=STUDIO, **options
    )


async def test_sampled_frames_show_what_the_same_pictures_show(service: VideoService) -> None:
    answers = await see(service, [FACES, SAFETY, OBJECTS])
    assert answers.outcome.code is grpc.StatusCode.OK
    assert not answers.problems
    assert not answers.summary.partial
    images = [vision_pb.Image(content=png(picture)) for picture in (photograph(), empty(), photograph())]
    faces = await service.stub.DetectFaces(
        vision_pb.DetectFacesRequest(images=images, expressions=True), metadata=STUDIO
    )
    safety = await service.stub.ScreenImage(vision_pb.ScreenImageRequest(images=images))
    objects = await service.stub.DetectObjects(vision_pb.DetectObjectsRequest(images=images))
    assert [len(segment.faces) for segment in answers.segments] == [1, 0, 1]
    assert answers.segments[0].faces[0].expressions[0].label == "happy"
    for segment, seen, screened, found in zip(
        answers.segments, faces.results, safety.results, objects.results, strict=True
    ):
        assert [face.score for face in segment.faces] == pytest.approx([face.score for face in seen.faces], abs=0.02)
        for face, other in zip(segment.faces, seen.faces, strict=True):
            assert (face.box.left, face.box.bottom) == pytest.approx((other.box.left, other.box.bottom), abs=0.02)
        assert segment.unsafe_probability == pytest.approx(screened.unsafe_probability, abs=0.02)
        assert [one.label for one in segment.objects] == [one.label for one in found.objects]
        assert [one.score for one in segment.objects] == pytest.approx([one.score for one in found.objects], abs=0.02)
    assert {report.model for report in answers.summary.reports} == {
        "centerface",
        "mini-xception-expression",
        "open-nsfw",
        DETECTOR,
    }


@pytest.mark.parametrize(
    ("feature", "field"),
    [(FACES, "faces"), (SAFETY, "unsafe_probability"), (OBJECTS, "objects"), (LABELS, "labels")],
)
async def test_nothing_is_said_that_was_not_asked_for(service: VideoService, feature: Any, field: str) -> None:
    answers = await see(service, [feature])
    assert shown(answers.segments[0]) == {field}
    assert {report.model for report in answers.summary.reports}.isdisjoint({"centerface", "open-nsfw"} - _of(feature))


def _of(feature: Any) -> set[str]:
    return {FACES: {"centerface"}, SAFETY: {"open-nsfw"}}.get(feature, set())


@pytest.mark.parametrize("metadata", [(), (("x-marquee-tenant", "films"),)], ids=["nobody", "another"])
@pytest.mark.parametrize("features", [[FACES], [LABELS, SAFETY, FACES]], ids=["faces", "among others"])
async def test_faces_in_videos_are_for_tenants_that_may(
    service: VideoService, metadata: Any, features: Sequence[Any]
) -> None:
    # It is refused before a picture is decoded: this is none.
    broken = pb.AnalyzeVideoRequest(frame=pb.VideoFrame(content=b"no picture"))
    refused = await ask(service.stub, [start_with(features), broken], metadata=metadata)
    assert (refused.outcome.code, refused.outcome.reason) == (grpc.StatusCode.PERMISSION_DENIED, "FACES_NOT_ALLOWED")
    assert refused.outcome.metadata["setting"] == "MARQUEE_VISION_FACES_TENANTS"
    assert not refused.responses
    without = await ask(service.stub, [start_with([LABELS, SAFETY]), *frames([photograph()])], metadata=metadata)
    assert shown(without.segments[0]) == {"labels", "unsafe_probability"}


async def test_a_checkpoint_holds_nothing_of_a_face_and_opens_no_door(service: VideoService) -> None:
    answers = await ask(
        service.stub,
        [start_with([FACES], checkpoint_interval_seconds=1), *frames([photograph()] * 2)],
        metadata=STUDIO,
    )
    sealed = answers.all_of("checkpoint")[0].sealed_state
    again = await ask(service.stub, [start_with([FACES], checkpoint=sealed), *frames([photograph()])])
    assert again.outcome.reason == "FACES_NOT_ALLOWED"
    assert len(sealed) < 200, "no picture and no vector of one"


async def test_faces_of_an_encoded_video(service: VideoService) -> None:
    pictures = [numpy.asarray(one) for one in (photograph(), empty()) for _ in range(8)]
    encoded = film(pictures, 8)
    refused = await analyze(service.stub, encoded, [FACES])
    assert refused.outcome.reason == "FACES_NOT_ALLOWED"
    pieces = [pb.AnalyzeVideoRequest(chunk=encoded)]
    answers = await ask(service.stub, [start_with([FACES, OBJECTS, SAFETY]), *pieces], metadata=STUDIO)
    assert [len(segment.faces) for segment in answers.segments] == [1, 0]
    # Each quarter of the second that is white is an object.
    assert len(answers.segments[1].objects) == 4
    assert all(segment.HasField("unsafe_probability") for segment in answers.segments)
