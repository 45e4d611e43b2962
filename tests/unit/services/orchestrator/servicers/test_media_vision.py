"""`MediaService` before a real vision service with models of the tests' own: one that names colours, one that tells
events, one that finds objects; and with the committed ones of faces.
"""

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

from marquee.common.v1 import media_pb2
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee_client import AsyncMarqueeClient, InvalidArgument, MarqueeError
from tests.support.colour_vision import colour_vision
from tests.support.content_mesh import content_mesh
from tests.support.dummy_detector import NAME as DETECTOR
from tests.support.dummy_detector import write_detector
from tests.support.dummy_events_model import NAME as EVENTS_MODEL
from tests.support.dummy_events_model import write_events_model
from tests.support.dummy_image_model import write_image_model
from tests.support.failing_model import fail_at_white
from tests.support.tenant_caller import Caller
from tests.support.video_clips import clip, film, sound_only

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[5]
FACE_MODELS = ("centerface", "mini-xception-expression", "open-nsfw")
FACES, OBJECTS, SAFETY = pb.MEDIA_FEATURE_FACES, pb.MEDIA_FEATURE_OBJECTS, pb.MEDIA_FEATURE_SAFETY
LABELS, EVENTS, HIGHLIGHTS = pb.MEDIA_FEATURE_LABELS, pb.MEDIA_FEATURE_EVENTS, pb.MEDIA_FEATURE_HIGHLIGHTS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncMarqueeClient]:
    folder = tmp_path_factory.mktemp("media")
    write_image_model(folder / "models")
    write_events_model(folder / "models")
    async with (
        colour_vision(folder, default_events_model=EVENTS_MODEL) as vision,
        content_mesh(folder, with_text=False, with_classical=False, vision_address=vision.address) as mesh,
        AsyncMarqueeClient(mesh.address, timeout=60) as client,
    ):
        yield client


def picture(red: int, green: int, blue: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(numpy.full((64, 64, 3), (red, green, blue), numpy.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


async def test_a_picture_is_attached_and_found_again(client: AsyncMarqueeClient) -> None:
    await client.upsert_items([catalog_pb.Item(item_id="red", title="Red"), catalog_pb.Item(item_id="blue", title="B")])
    for item_id, colour in (("red", picture(220, 20, 20)), ("blue", picture(20, 20, 220))):
        reply = await client.analyze_image(colour, attach=pb.MediaAttachment(item_id=item_id))
        assert reply.attachment.attached
        assert list(reply.attachment.added_tags) == [item_id]
    reply = await client.analyze_image(picture(200, 40, 30))
    assert reply.analysis.labels[0].label == "red"
    assert [item.item_id for item in reply.analysis.similar_items] == ["red", "blue"]
    assert reply.degraded, "models of the default features are missing here"
    missing = {failure.feature for failure in reply.analysis.failures}
    assert missing >= {pb.MEDIA_FEATURE_OBJECTS, pb.MEDIA_FEATURE_GAME, pb.MEDIA_FEATURE_SAFETY}


async def test_a_file_that_is_no_picture_is_refused_by_our_own_field(client: AsyncMarqueeClient) -> None:
    for image, content_type, field in ((b"GIF89a", "", "image"), (picture(1, 2, 3), "image/jpeg", "content_type")):
        with pytest.raises(InvalidArgument) as refusal:
            await client.analyze_image(image, content_type=content_type)
        assert [violation.field for violation in refusal.value.field_violations] == [field]


@pytest.mark.parametrize("kind", ["fragmented", "mp4"])
async def test_a_clip_goes_through_and_comes_back_summed_up(client: AsyncMarqueeClient, kind: str) -> None:
    await client.upsert_items([catalog_pb.Item(item_id="clip", title="Clip")])
    features = [
        pb.MEDIA_FEATURE_LABELS,
        pb.MEDIA_FEATURE_EVENTS,
        pb.MEDIA_FEATURE_HIGHLIGHTS,
        pb.MEDIA_FEATURE_SCENE_CUTS,
        pb.MEDIA_FEATURE_SIMILAR_ITEMS,
    ]
    attach = pb.MediaAttachment(item_id="clip", minimum_tag_probability=0.01)
    answers = client.analyze_clip([clip(kind=kind)], features=features, attach=attach)
    *replies, last = [reply async for reply in answers]
    delivery = media_pb2.VIDEO_DELIVERY_SPOOLED if kind == "mp4" else media_pb2.VIDEO_DELIVERY_STREAMED
    assert replies[0].info.delivery == delivery
    segments = [reply.segment for reply in replies if reply.HasField("segment")]
    assert [segment.start_seconds for segment in segments] == [0, 1, 2, 3, 4, 5]
    assert all(segment.events for segment in segments)
    assert [reply.scene_cut.time_seconds for reply in replies if reply.HasField("scene_cut")] == pytest.approx([2, 4])
    assert last.summary.analyzed_seconds == pytest.approx(6)
    assert last.summary.labels
    assert last.summary.attachment.attached
    assert not last.summary.failures
    assert last.summary.similar_items
    assert "clip" not in [item.item_id for item in last.summary.similar_items]


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100, sound_only()], ids=["empty", "text", "sound"])
async def test_what_is_no_clip_is_refused(client: AsyncMarqueeClient, content: bytes) -> None:
    with pytest.raises(MarqueeError) as refusal:
        [reply async for reply in client.analyze_clip([content] if content else [])]
    assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in refusal.value.field_violations] == ["chunk"]


def portrait() -> bytes:
    """A second of somebody, then one of nobody."""
    with Image.open(ROOT / "tests" / "data" / "pictures" / "astronaut.jpg") as astronaut:
        somebody = numpy.asarray(astronaut.convert("RGB"))
    return film([somebody] * 8 + [numpy.full_like(somebody, 250)] * 8, 8)


async def ask(
    caller: Caller, content: bytes, features: Sequence[Any]
) -> tuple[list[media_pb2.VideoSegment], pb.ClipSummary]:
    """Return the seconds and the summary of a clip."""
    start = pb.AnalyzeClipRequest(start=pb.ClipStart(features=features))
    *replies, last = await caller.ask("MediaService.AnalyzeClip", start, pb.AnalyzeClipRequest(chunk=content))
    return [reply.segment for reply in replies if reply.HasField("segment")], last.summary


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def faces(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Caller]]:
    """Callers of two tenants, of which one may look for faces."""
    folder = tmp_path_factory.mktemp("faces")
    write_image_model(folder / "models")
    write_detector(folder / "models")
    for name in FACE_MODELS:
        (folder / "models" / name).symlink_to(ROOT / "services" / "vision" / "models" / name)
    async with (
        colour_vision(folder, default_objects_model=DETECTOR, faces_tenants="studio") as vision,
        content_mesh(folder, with_text=False, with_classical=False, vision_address=vision.address) as mesh,
    ):
        yield {tenant: Caller(mesh.orchestrator, tenant) for tenant in ("studio", "films")}


async def test_a_tenant_that_may_sees_faces_in_its_clips(faces: dict[str, Caller]) -> None:
    segments, summary = await ask(faces["studio"], portrait(), [FACES, OBJECTS, SAFETY])
    assert [len(segment.faces) for segment in segments] == [1, 0]
    assert segments[0].faces[0].expressions[0].label == "happy"
    assert all(segment.HasField("unsafe_probability") for segment in segments)
    assert segments[1].objects
    assert not any(segment.labels or segment.events for segment in segments)
    assert summary.HasField("decision")
    assert summary.objects
    assert not summary.failures
    assert not summary.degraded


async def test_another_tenants_clip_is_analysed_without_faces(faces: dict[str, Caller]) -> None:
    segments, summary = await ask(faces["films"], portrait(), [FACES, OBJECTS, SAFETY])
    assert not any(segment.faces for segment in segments)
    assert all(segment.HasField("unsafe_probability") for segment in segments)
    assert segments[1].objects
    assert {one.feature: one.reason for one in summary.failures} == {FACES: "FACES_NOT_ALLOWED"}
    assert not summary.degraded, "the operator wants it so"
    without, _ = await ask(faces["studio"], portrait(), [OBJECTS])
    assert not any(segment.faces or segment.HasField("unsafe_probability") for segment in without)


async def test_a_model_that_fails_in_the_middle_costs_the_rest_of_its_own_feature(tmp_path: Path) -> None:
    fail_at_white(write_events_model(tmp_path / "models"), "frames")
    write_image_model(tmp_path / "models")
    red, white = (numpy.full((64, 64, 3), colour, numpy.uint8) for colour in ((200, 30, 20), (255, 255, 255)))
    content = film([red] * 16 + [white] * 8 + [red] * 8, 8)
    async with (
        colour_vision(tmp_path, default_events_model=EVENTS_MODEL) as vision,
        content_mesh(tmp_path, with_text=False, with_classical=False, vision_address=vision.address) as mesh,
    ):
        segments, summary = await ask(Caller(mesh.orchestrator, "default"), content, [LABELS, EVENTS, HIGHLIGHTS])
    assert [bool(segment.events) for segment in segments] == [True, True, False, False]
    assert all(segment.labels for segment in segments)
    assert {one.feature: one.reason for one in summary.failures} == {
        EVENTS: "MODEL_UNAVAILABLE",
        HIGHLIGHTS: "MODEL_UNAVAILABLE",
    }
    assert all("from here on" in one.message for one in summary.failures)
    assert summary.degraded
    assert summary.partial
    assert summary.labels
