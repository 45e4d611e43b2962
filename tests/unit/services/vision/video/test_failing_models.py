"""A model that fails in the middle of a stream costs its own answers from there on, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest

from marquee.common.v1 import media_pb2
from marquee.vision.v1 import video_pb2 as pb
from tests.support import dummy_events_model, dummy_image_model
from tests.support.dummy_events_model import write_events_model
from tests.support.dummy_image_model import write_image_model
from tests.support.failing_model import fail_at_white
from tests.support.video_calls import Answers, VideoService, ask, start_with, video_service

EVENTS, CUTS = pb.VIDEO_FEATURE_EVENTS, pb.VIDEO_FEATURE_SCENE_CUTS
LABELS, VECTOR, GAME = pb.VIDEO_FEATURE_LABELS, pb.VIDEO_FEATURE_VECTOR, pb.VIDEO_FEATURE_GAME
RED, WHITE, BLUE = (200, 30, 20), (255, 255, 255), (20, 30, 200)
COLOURS = [RED, RED, WHITE, BLUE, BLUE]
"""Of the seconds: a model that fails does so at the third."""
_RATE, _SIDE = 4, 48


def frames(colours: Sequence[tuple[int, int, int]]) -> list[pb.AnalyzeVideoRequest]:
    found = []
    for index in range(len(colours) * _RATE):
        picture = numpy.full((_SIDE, _SIDE, 3), colours[index // _RATE], numpy.uint8)
        frame = pb.VideoFrame(time_seconds=index / _RATE, content=picture.tobytes(), width=_SIDE, height=_SIDE)
        found.append(pb.AnalyzeVideoRequest(frame=frame))
    return found


async def see(service: VideoService, features: Sequence[Any], **fields: Any) -> Answers:
    return await asyncio.wait_for(ask(service.stub, [start_with(features, **fields), *frames(COLOURS)]), 60)


def seconds_with(answers: Answers, field: str) -> list[int]:
    return [
        int(one.start_seconds) for one in answers.segments if field in {found.name for found, _ in one.ListFields()}
    ]


def failing(models: Path, *names: str) -> Path:
    """The tests' models, of which some fail."""
    write_events_model(models)
    write_image_model(models)
    inputs = {dummy_events_model.NAME: "frames", dummy_image_model.NAME: "pixels"}
    for name in names:
        fail_at_white(models / name / "1", inputs[name])
    return models


@pytest.mark.parametrize(
    ("name", "what", "field", "other"),
    [
        (dummy_events_model.NAME, "events", "events", "labels"),
        (dummy_image_model.NAME, "labels", "labels", "events"),
    ],
)
async def test_the_others_go_on(models: Path, name: str, what: str, field: str, other: str) -> None:
    async with video_service(failing(models, name)) as service:
        answers = await see(service, [EVENTS, LABELS, CUTS])
        assert answers.outcome.code is grpc.StatusCode.OK
        assert seconds_with(answers, field) == [0, 1]
        assert seconds_with(answers, other) == [0, 1, 2, 3, 4]
        (problem,) = answers.all_of("problem")
        assert (problem.time_seconds, problem.reason) == (2, "MODEL_UNAVAILABLE")
        assert problem.message.startswith(f"{what} cannot be found from here on")
        assert not {"onnx", "gather", "node"} & set(problem.message.lower().split()), "no text of the engine's"
        assert answers.kinds[-1] == "summary"
        assert answers.summary.partial
        assert answers.summary.analyzed_seconds == pytest.approx(5, abs=0.3)
        assert [cut.time_seconds for cut in answers.all_of("scene_cut")] == [2, 3]
        # The model serves the next stream, up to where it fails there.
        again = await see(service, [EVENTS, LABELS])
        assert seconds_with(again, field) == [0, 1]


async def test_a_stream_without_a_model_left_ends_like_any_other(models: Path) -> None:
    names = dummy_events_model.NAME, dummy_image_model.NAME
    async with video_service(failing(models, *names)) as service:
        answers = await see(service, [EVENTS, LABELS, VECTOR, GAME])
        assert answers.outcome.code is grpc.StatusCode.OK
        assert sorted(one.message.split()[0] for one in answers.all_of("problem")) == ["events", "game", "labels"]
        assert {one.time_seconds for one in answers.all_of("problem")} == {2}
        assert len(answers.segments) == 5
        # The vector is of the frames that were looked at.
        vector = numpy.frombuffer(answers.summary.vector.values, "<f4")
        assert vector == pytest.approx(numpy.array(RED) / numpy.linalg.norm(RED), abs=0.01)


async def test_one_streams_failure_is_not_anothers(models: Path) -> None:
    async with video_service(failing(models, dummy_events_model.NAME)) as service:
        good = [start_with([EVENTS]), *frames([RED] * 4)]
        bad = [start_with([EVENTS]), *frames([RED, WHITE, RED, RED])]
        answers = await asyncio.wait_for(
            asyncio.gather(*(ask(service.stub, good if number % 2 else bad) for number in range(8))), 60
        )
        for number, one in enumerate(answers):
            assert one.outcome.code is grpc.StatusCode.OK
            assert seconds_with(one, "events") == ([0, 1, 2, 3] if number % 2 else [0])
            assert one.summary.partial is (number % 2 == 0)


async def test_a_checkpoint_after_the_failure_goes_on_without_the_model(models: Path) -> None:
    async with video_service(failing(models, dummy_events_model.NAME)) as service:
        whole = await see(service, [EVENTS, LABELS], checkpoint_interval_seconds=1)
        checkpoints: list[media_pb2.VideoCheckpoint] = whole.all_of("checkpoint")
        after = next(one for one in checkpoints if one.next_seconds == 4)
        rest = await see(service, [LABELS], checkpoint=after.sealed_state)
        assert [segment.labels[0].label for segment in rest.segments] == ["blue"]
        refused = await see(service, [EVENTS, LABELS], checkpoint=after.sealed_state)
        assert (refused.outcome.code, refused.outcome.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "CHECKPOINT_INVALID",
        )
