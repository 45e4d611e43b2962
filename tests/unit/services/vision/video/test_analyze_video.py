"""Videos as a caller sends them to a vision service, and what it gets back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy
import pytest

from marquee.common.v1 import media_pb2, usage_pb2, usage_pb2_grpc
from marquee.vision.v1 import video_pb2 as pb
from tests.support import dummy_events_model, dummy_image_model
from tests.support.dummy_events_model import write_events_model
from tests.support.dummy_image_model import write_image_model
from tests.support.video_calls import Answers, VideoService, analyze, ask, chunks, start_with, video_service
from tests.support.video_clips import COLOURS, RATE, clip, pictures

EVENTS, CUTS, LABELS = pb.VIDEO_FEATURE_EVENTS, pb.VIDEO_FEATURE_SCENE_CUTS, pb.VIDEO_FEATURE_LABELS
VECTOR, GAME = pb.VIDEO_FEATURE_VECTOR, pb.VIDEO_FEATURE_GAME
STREAMED, SPOOLED = media_pb2.VIDEO_DELIVERY_STREAMED, media_pb2.VIDEO_DELIVERY_SPOOLED
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.fixture
async def service(models: Path) -> AsyncIterator[VideoService]:
    async with video_service(models, video_checkpoint_keys=KEY) as running:
        yield running


def highlights(answers: Answers) -> list[float]:
    return [segment.highlight for segment in answers.segments]


def expected_highlights(seconds: int) -> list[float]:
    """What the dummy model says of the clip's pictures."""
    state, found = numpy.zeros(3), []
    frames = list(pictures(seconds))
    for second in range(seconds):
        seen = numpy.stack(frames[second * RATE : (second + 1) * RATE : RATE // dummy_events_model.RATE])
        state = state / 2 + seen.mean(axis=(0, 1, 2)) / 510
        found.append(float(state.mean()))
    return found


@pytest.mark.parametrize(
    ("kind", "container", "codec", "delivery"),
    [
        ("fragmented", "mp4", "h264", STREAMED),
        ("webm", "webm", "vp8", STREAMED),
        ("mpegts", "mpegts", "h264", STREAMED),
        ("matroska", "matroska", "h264", STREAMED),
        ("mp4", "mp4", "h264", SPOOLED),
        ("faststart", "mp4", "h264", SPOOLED),
    ],
)
async def test_every_container_gives_the_same_answers(
    service: VideoService, kind: str, container: str, codec: str, delivery: media_pb2.VideoDelivery.ValueType
) -> None:
    answers = await analyze(service.stub, clip(6, kind))
    info, summary = answers.info, answers.summary
    assert answers.outcome.code is grpc.StatusCode.OK
    assert (info.container, info.codec, info.width, info.height, info.delivery) == (
        container,
        codec,
        128,
        96,
        delivery,
    )
    assert bool(info.detail) == (delivery == SPOOLED)
    assert info.frames_per_second == pytest.approx(RATE)
    assert [(one.start_seconds, round(one.end_seconds, 2)) for one in answers.segments] == [
        (second, second + 1) for second in range(6)
    ]
    assert highlights(answers) == pytest.approx(expected_highlights(6), abs=0.02)
    assert [cut.time_seconds for cut in answers.all_of("scene_cut")] == pytest.approx([2, 4], abs=0.01)
    assert all(10 <= cut.score <= 100 for cut in answers.all_of("scene_cut"))
    assert answers.kinds == ["info", *["segment"] * 3, "scene_cut", *["segment"] * 2, "scene_cut", "segment", "summary"]
    assert summary.analyzed_seconds == pytest.approx(6, abs=0.01)
    assert (summary.decoded_frames, summary.received_bytes) == (6 * RATE, len(clip(6, kind)))
    assert summary.analyzed_frames == 6 * dummy_events_model.RATE
    assert not summary.partial
    assert [(one.model, one.version) for one in summary.reports] == [(dummy_events_model.NAME, "1")]
    assert summary.reports[0].compute_microseconds > 0


async def test_every_event_has_its_probability(service: VideoService) -> None:
    answers = await analyze(service.stub, clip(2), [EVENTS])
    for segment in answers.segments:
        assert [one.event for one in segment.events] == [1, 2, 3, 4, 5]
        assert all(0 <= one.probability <= 1 for one in segment.events)
        assert not segment.HasField("sample_seconds")
        assert not segment.HasField("unsafe_probability")


async def test_sampled_frames_are_looked_at(service: VideoService) -> None:
    answers = await analyze(service.stub, clip(5), [LABELS, GAME, VECTOR], sample_interval_seconds=2, label_count=2)
    looked = [segment for segment in answers.segments if segment.HasField("sample_seconds")]
    assert [segment.sample_seconds for segment in looked] == [0, 2, 4]
    assert [segment.labels[0].label for segment in looked] == ["red", "green", "blue"]
    assert [segment.games[0].label for segment in looked] == ["red", "green", "blue"]
    assert all(len(segment.labels) == 2 for segment in looked)
    assert not any(segment.HasField("highlight") or segment.events for segment in answers.segments)
    assert not answers.all_of("scene_cut")
    assert len(answers.segments) == 5
    vector = numpy.frombuffer(answers.summary.vector.values, "<f4")
    units = [numpy.array(colour) / numpy.linalg.norm(colour) for colour in COLOURS[:3]]
    mean = sum(units) / numpy.linalg.norm(sum(units))
    assert vector == pytest.approx(mean, abs=0.1)
    assert numpy.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert answers.summary.analyzed_frames == 3


async def test_two_frames_a_second_are_one_answer(service: VideoService) -> None:
    answers = await analyze(service.stub, clip(3), [LABELS], sample_interval_seconds=0.5)
    assert [segment.sample_seconds for segment in answers.segments] == [0, 1, 2]
    assert [segment.labels[0].label for segment in answers.segments] == ["red", "red", "green"]
    assert answers.summary.analyzed_frames == 6


async def test_the_last_second_may_be_short(service: VideoService) -> None:
    answers = await analyze(service.stub, clip(2.5))
    assert [segment.end_seconds for segment in answers.segments] == pytest.approx([1, 2, 2.5])
    assert answers.summary.analyzed_seconds == pytest.approx(2.5)
    assert answers.segments[-1].HasField("highlight")


def frames(seconds: float, start: float = 0.0) -> list[pb.AnalyzeVideoRequest]:
    return [
        pb.AnalyzeVideoRequest(
            frame=pb.VideoFrame(
                time_seconds=start + index / RATE,
                content=picture.tobytes(),
                width=picture.shape[1],
                height=picture.shape[0],
            )
        )
        for index, picture in enumerate(pictures(seconds))
    ]


async def test_single_frames_are_a_video(service: VideoService) -> None:
    answers = await ask(service.stub, [start_with([EVENTS, CUTS, LABELS]), *frames(5)])
    assert (answers.info.container, answers.info.codec, answers.info.delivery) == ("frames", "", STREAMED)
    assert (answers.info.width, answers.info.height) == (128, 96)
    assert highlights(answers) == pytest.approx(expected_highlights(5), abs=0.01)
    assert [cut.time_seconds for cut in answers.all_of("scene_cut")] == [2, 4]
    encoded = await analyze(service.stub, clip(5), [EVENTS, CUTS])
    scores = [[cut.score for cut in one.all_of("scene_cut")] for one in (answers, encoded)]
    assert scores[0] == pytest.approx(scores[1], rel=0.2)
    assert [segment.labels[0].label for segment in answers.segments] == ["red", "red", "green", "green", "blue"]
    assert answers.summary.decoded_frames == 5 * RATE


@pytest.mark.parametrize("interval", [0.5, 1.0])
@pytest.mark.parametrize("kind", ["fragmented", "mpegts", "frames"])
async def test_a_stream_goes_on_where_a_checkpoint_was_made(service: VideoService, kind: str, interval: float) -> None:
    if kind != "fragmented" and interval != 1:
        pytest.skip("one interval is enough for the others")
    video = frames(5) if kind == "frames" else chunks(clip(5, kind))
    features = [EVENTS, CUTS, LABELS, VECTOR]
    whole = await ask(
        service.stub, [start_with(features, checkpoint_interval_seconds=3, sample_interval_seconds=interval), *video]
    )
    (checkpoint,) = whole.all_of("checkpoint")
    assert checkpoint.next_seconds == 3
    rest = await ask(
        service.stub,
        [start_with(features, checkpoint=checkpoint.sealed_state, sample_interval_seconds=interval), *video],
    )
    assert rest.info.start_seconds == 3
    assert rest.segments == whole.segments[3:]
    assert rest.all_of("scene_cut") == [cut for cut in whole.all_of("scene_cut") if cut.time_seconds >= 3]
    assert rest.summary.vector == whole.summary.vector
    assert rest.summary.analyzed_seconds == pytest.approx(2, abs=0.01)


async def test_a_stream_goes_on_from_the_fragment_before_the_checkpoint(service: VideoService) -> None:
    video = clip(5)
    whole = await analyze(service.stub, video, checkpoint_interval_seconds=3)
    (checkpoint,) = whole.all_of("checkpoint")
    fragments = video.split(b"moof")
    header, size = fragments[0][:-4], fragments[0][-4:]
    assert len(fragments) == 6
    # Each begins with its size, which the split left at the end of the part before: the third second and those after.
    rest = header + fragments[2][-4:] + b"moof" + b"moof".join(fragments[3:])
    assert size
    answers = await analyze(service.stub, rest, checkpoint=checkpoint.sealed_state)
    assert answers.segments == whole.segments[3:]
    assert [cut.time_seconds for cut in answers.all_of("scene_cut")] == [4]


async def test_another_tenant_cannot_go_on(service: VideoService) -> None:
    whole = await analyze(service.stub, clip(2), checkpoint_interval_seconds=1)
    sealed = whole.all_of("checkpoint")[0].sealed_state
    requests = [start_with(checkpoint=sealed), *chunks(clip(2))]
    foreign = await ask(service.stub, requests, metadata=(("x-marquee-tenant", "films"),))
    assert foreign.outcome.reason == "CHECKPOINT_INVALID"
    assert list(foreign.outcome.violations) == ["start.checkpoint"]
    altered = await analyze(service.stub, clip(2), checkpoint=sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert (altered.outcome.code, altered.outcome.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "CHECKPOINT_INVALID",
    )


async def test_a_new_model_version_ends_old_checkpoints(service: VideoService, models: Path) -> None:
    whole = await analyze(service.stub, clip(2), checkpoint_interval_seconds=1)
    sealed = whole.all_of("checkpoint")[0].sealed_state
    write_events_model(models, "other-events")
    write_events_model(models, version="2")
    async with video_service(models, video_checkpoint_keys=KEY) as later:
        answers = await analyze(later.stub, clip(2), checkpoint=sealed)
        assert answers.outcome.reason == "CHECKPOINT_INVALID"


async def test_a_model_that_is_missing_is_told_once_and_the_rest_goes_on(models: Path) -> None:
    async with video_service(models, default_events_model="not-there") as service:
        answers = await analyze(service.stub, clip(3), [EVENTS, CUTS, LABELS])
        assert answers.kinds.count("problem") == 1
        assert "not-there" in answers.problems["MODEL_UNAVAILABLE"].message
        assert answers.summary.partial
        assert [segment.labels[0].label for segment in answers.segments] == ["red", "red", "green"]
        assert not answers.segments[0].events
        assert [cut.time_seconds for cut in answers.all_of("scene_cut")] == [2]
        named = await analyze(service.stub, clip(3), [EVENTS], events_model="nobody")
        assert (named.outcome.code, named.outcome.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
        wrong = await analyze(service.stub, clip(3), [EVENTS], events_model=dummy_image_model.NAME)
        assert wrong.outcome.code is grpc.StatusCode.NOT_FOUND


async def test_named_models_answer(service: VideoService, models: Path) -> None:
    write_events_model(models, "more-events")
    write_image_model(models, "more-colours")
    async with video_service(models) as later:
        answers = await analyze(
            later.stub, clip(2), [EVENTS, LABELS], events_model="more-events", labels_model="more-colours/1"
        )
        assert [report.model for report in answers.summary.reports] == ["more-events", "more-colours"]


async def test_video_seconds_are_metered(service: VideoService) -> None:
    await analyze(service.stub, clip(2.5))
    usage = usage_pb2_grpc.UsageServiceStub(service.channel)
    records = [record async for part in usage.ExportUsage(usage_pb2.ExportUsageRequest()) for record in part.records]
    (metered,) = [record for record in records if record.unit == "video_seconds"]
    assert (metered.tenant, metered.model, metered.amount, metered.call_count) == ("default", "video", 3, 1)
