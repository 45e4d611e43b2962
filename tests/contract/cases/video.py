"""What the vision service is asked of videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import grpc
import numpy

from marquee.vision.v1 import video_pb2 as pb
from tests.contract.cases.kinds import BadCall, CompanyCase, GoodCall, invalid_text
from tests.support.dummy_detector import NAME as DETECTOR
from tests.support.video_clips import clip, sound_only

ANALYZE = "/marquee.vision.v1.VisionService/AnalyzeVideo"
EVENTS_MODEL = "recurrent-gameplay-events"
EVENTS, CUTS = pb.VIDEO_FEATURE_EVENTS, pb.VIDEO_FEATURE_SCENE_CUTS
LABELS, OBJECTS, VECTOR = pb.VIDEO_FEATURE_LABELS, pb.VIDEO_FEATURE_OBJECTS, pb.VIDEO_FEATURE_VECTOR
CHUNK_LIMIT = 1 << 20
_WIDTH, _HEIGHT = 96, 80


def start(*features: Any, **fields: Any) -> pb.AnalyzeVideoRequest:
    """Return the first message of a stream."""
    return pb.AnalyzeVideoRequest(start=pb.VideoStart(features=features, **fields))


def chunks(content: bytes, size: int = 4_096) -> list[pb.AnalyzeVideoRequest]:
    """Return an encoded video in pieces."""
    return [pb.AnalyzeVideoRequest(chunk=content[place : place + size]) for place in range(0, len(content), size)]


def frames(seed: int, seconds: int = 2, rate: int = 8) -> list[pb.AnalyzeVideoRequest]:
    """Return a video of single frames: noise, the same for a seed."""
    noise = numpy.random.default_rng(seed).integers(0, 256, (seconds * rate, _HEIGHT, _WIDTH, 3), numpy.uint8)
    return [
        pb.AnalyzeVideoRequest(
            frame=pb.VideoFrame(time_seconds=index / rate, content=picture.tobytes(), width=_WIDTH, height=_HEIGHT)
        )
        for index, picture in enumerate(noise)
    ]


def good() -> list[GoodCall]:
    """Return streams that must be answered. Short ones: they are asked many times at once."""
    video = chunks(clip(2))
    return [
        GoodCall("a video", ANALYZE, [start(EVENTS, CUTS), *video], EVENTS_MODEL),
        GoodCall("a video that is spooled", ANALYZE, [start(EVENTS, CUTS), *chunks(clip(2, "mp4"))], EVENTS_MODEL),
        GoodCall(
            "a video's pictures",
            ANALYZE,
            [start(LABELS, VECTOR, label_count=3), *frames(0)],
            "efficientnet-lite0",
        ),
        GoodCall("a video's objects", ANALYZE, [start(OBJECTS, objects_model=DETECTOR), *video], DETECTOR),
    ]


def company() -> list[CompanyCase]:
    """Return streams that are analysed at the same time."""
    return [CompanyCase("five videos", ANALYZE, [[start(EVENTS, CUTS), *frames(seed)] for seed in range(5)])]


def bad() -> Sequence[BadCall]:
    """Return streams that must be refused."""
    (chunk,) = chunks(b"x")
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("labels", "label_count", {"label_count": -1}),
        ("a sample interval that is no number", "sample_interval_seconds", {"sample_interval_seconds": math.nan}),
        ("a score above one", "minimum_object_score", {"minimum_object_score": 1.5}),
        ("checkpoints all the time", "checkpoint_interval_seconds", {"checkpoint_interval_seconds": 0.01}),
    ]
    models = ("events", "labels", "objects")
    return [
        BadCall("a video without a start", ANALYZE, [chunk], field="start", reason="START_MISSING"),
        BadCall("a video that is nothing", ANALYZE, [start()], field="chunk", reason="VIDEO_EMPTY"),
        BadCall("a video that is text", ANALYZE, [start(), *chunks(b"hello, I am a video" * 50)], field="chunk"),
        BadCall("a video that is sound", ANALYZE, [start(), *chunks(sound_only())], field="chunk"),
        BadCall("a feature of videos that is none", ANALYZE, [start(99), chunk], field="start.features[0]"),
        *(
            BadCall(f"a video with {what}", ANALYZE, [start(**fields), chunk], field=f"start.{field}")
            for what, field, fields in wrong
        ),
        *(
            BadCall(
                f"a video's {what} by {how}",
                ANALYZE,
                [start(EVENTS, LABELS, OBJECTS, **{f"{what}_model": name}), chunk],
                grpc.StatusCode.NOT_FOUND,
                f"start.{what}_model",
                "MODEL_NOT_FOUND",
            )
            for what in models
            for how, name in (("an unknown model", "gpt"), ("a model of another kind", "open-nsfw"))
        ),
        BadCall(
            "a video with a forged checkpoint",
            ANALYZE,
            [start(EVENTS, checkpoint=b"mine"), chunk],
            field="start.checkpoint",
            reason="CHECKPOINT_INVALID",
        ),
        BadCall(
            "a video in too large a chunk",
            ANALYZE,
            [start(EVENTS), pb.AnalyzeVideoRequest(chunk=bytes(CHUNK_LIMIT + 1))],
            field="chunk",
            reason="CHUNK_TOO_LARGE",
        ),
        BadCall(
            "a stream of bytes that are no message",
            ANALYZE,
            b"\xff\xff\xff\xff",
            field="request",
            reason="INVALID_MESSAGE",
        ),
        BadCall(
            "a video whose model's name is not UTF-8",
            ANALYZE,
            invalid_text(start(EVENTS, events_model="@@")),
            field="start.events_model",
        ),
        BadCall(
            "a video with a passed deadline", ANALYZE, [start(), chunk], grpc.StatusCode.DEADLINE_EXCEEDED, seconds=-1
        ),
    ]
