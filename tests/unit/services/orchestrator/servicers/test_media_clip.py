"""`MediaService.AnalyzeClip` before a vision service that says what the tests have it say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.common.v1 import media_pb2
from marquee.common.v1.report_pb2 import ModelReport
from marquee.common.v1.vector_pb2 import Vector
from marquee.entertainment.v1 import catalog_service_pb2 as catalog_pb
from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import moderation_service_pb2 as policy_pb
from marquee.vision.v1 import video_pb2
from marquee_client import AsyncMarqueeClient, InvalidArgument, MarqueeClient, ResourceExhausted
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError, Unavailable
from tests.support.clients import Outcome, outcome_of
from tests.support.content_mesh import ContentMesh, ContentStubs, content_mesh
from tests.support.scripted_vision import VECTOR_MODEL, Script, scripted_vision
from tests.support.tenant_caller import Caller

REVIEW, BLOCK = policy_pb.MODERATION_ACTION_REVIEW, policy_pb.MODERATION_ACTION_BLOCK
KILL, DAMAGE = media_pb2.GAMEPLAY_EVENT_KILL, media_pb2.GAMEPLAY_EVENT_DAMAGE
REPORTS = [ModelReport(model="events", version="1"), ModelReport(model=VECTOR_MODEL, version="1")]
Requests = AsyncIterator[video_pb2.AnalyzeVideoRequest]
Answers = AsyncGenerator[video_pb2.AnalyzeVideoResponse, None]


def second(index: int, *, kill: float = 0.0, damage: float = 0.0, unsafe: float = 0.01) -> media_pb2.VideoSegment:
    return media_pb2.VideoSegment(
        start_seconds=index,
        end_seconds=index + 1,
        events=[
            media_pb2.EventProbability(event=KILL, probability=kill),
            media_pb2.EventProbability(event=DAMAGE, probability=damage),
        ],
        highlight=max(kill, damage),
        sample_seconds=index + 0.5,
        labels=[media_pb2.MediaLabel(label="tabby", probability=0.9 if index % 2 else 0.5)],
        objects=[media_pb2.DetectedObject(label="Cacodemon", score=0.5 + index / 100)],
        unsafe_probability=unsafe,
        games=[media_pb2.MediaLabel(label="breakout", probability=0.8)],
    )


class ScriptedVideo:
    """A video of which each chunk is a second.

    Attributes:
        start: what was asked.
        taken: chunks that were read.
        fails: error by the number of the chunk that causes it.
        others: further answers by the number of the chunk that they follow.
        finished: set when the stream is over, however it ended.
    """

    def __init__(self) -> None:
        self.start = video_pb2.VideoStart()
        self.taken = 0
        self.fails: dict[int, ServiceError] = {}
        self.others: dict[int, video_pb2.AnalyzeVideoResponse] = {}
        self.seconds: dict[int, media_pb2.VideoSegment] = {}
        self.vector: Iterable[float] = (1.0, 0.0, 0.0)
        self.padding = 0
        self.finished = asyncio.Event()

    async def __call__(self, requests: Requests) -> Answers:
        try:
            self.start = (await anext(requests)).start
            if -1 in self.fails:
                raise self.fails[-1]
            async for request in requests:
                assert request.HasField("chunk")
                if self.taken in self.fails:
                    raise self.fails[self.taken]
                if not self.taken:
                    yield video_pb2.AnalyzeVideoResponse(info=media_pb2.VideoInfo(container="mp4"))
                segment = self.seconds.get(self.taken, second(self.taken))
                if self.padding:
                    segment.labels.add(label="x" * self.padding)
                yield video_pb2.AnalyzeVideoResponse(segment=segment)
                if self.taken in self.others:
                    yield self.others[self.taken]
                self.taken += 1
            packed = Script(vector=tuple(self.vector)).vector_of(b"")
            yield video_pb2.AnalyzeVideoResponse(
                summary=video_pb2.VideoSummary(
                    analyzed_seconds=self.taken, vector=Vector(values=packed), reports=REPORTS
                )
            )
        finally:
            self.finished.set()


@pytest.fixture
def video() -> ScriptedVideo:
    return ScriptedVideo()


@pytest.fixture
def script(video: ScriptedVideo) -> Script:
    return Script(video=video)


@pytest.fixture
async def mesh(tmp_path: Path, script: Script) -> AsyncIterator[ContentMesh]:
    async with (
        scripted_vision(script) as address,
        content_mesh(tmp_path, with_text=False, with_classical=False, vision_address=address) as mesh,
    ):
        yield mesh


@pytest.fixture
def caller(mesh: ContentMesh) -> Caller:
    return Caller(mesh.orchestrator, "default")


def clip(chunks: int = 10, **start: Any) -> list[pb.AnalyzeClipRequest]:
    return [
        pb.AnalyzeClipRequest(start=pb.ClipStart(**start)),
        *(pb.AnalyzeClipRequest(chunk=b"x" * 100) for _ in range(chunks)),
    ]


async def analyze(caller: Caller, *requests: pb.AnalyzeClipRequest) -> tuple[list[Any], pb.ClipSummary]:
    replies = await caller.ask("MediaService.AnalyzeClip", *requests)
    assert replies[-1].HasField("summary")
    return replies[:-1], replies[-1].summary


async def refused(caller: Caller, *requests: pb.AnalyzeClipRequest) -> Outcome:
    async def slowly() -> Any:
        # A caller who goes on writing when the call has ended gets an error of grpc.aio's own.
        call = caller.channel.stream_stream(
            "/marquee.entertainment.v1.MediaService/AnalyzeClip",
            request_serializer=pb.AnalyzeClipRequest.SerializeToString,
            response_deserializer=pb.AnalyzeClipResponse.FromString,
        )(timeout=20)
        for request in requests:
            # Refused before all is written: reading says how.
            if call.done():
                break
            await call.write(request)
            await asyncio.sleep(0.05)
        await call.done_writing()
        while await call.read() is not grpc.aio.EOF:
            pass
        return None

    return await outcome_of(asyncio.ensure_future(slowly()))


def failures(summary: pb.ClipSummary) -> dict[int, str]:
    return {failure.feature: failure.reason for failure in summary.failures}


async def test_a_clip_is_answered_second_by_second_and_summed_up(caller: Caller, video: ScriptedVideo) -> None:
    video.seconds = {
        4: second(4, kill=0.9),
        5: second(5, damage=0.7),
        6: second(6, kill=0.8, unsafe=0.6),
        9: second(9, unsafe=0.55),
    }
    replies, summary = await analyze(caller, *clip(12))
    assert replies[0].info.container == "mp4"
    assert [reply.segment.start_seconds for reply in replies[1:]] == list(range(12))
    (highlight,) = summary.highlights
    assert (highlight.start_seconds, highlight.end_seconds) == (3, 8)
    assert highlight.score == pytest.approx(0.9)
    assert [one.event for one in highlight.events] == [KILL, DAMAGE]
    assert highlight.reason == "two kills and damage taken within 3 seconds"
    assert [label.label for label in summary.labels] == ["tabby"]
    assert summary.labels[0].probability == pytest.approx(0.7)
    assert summary.objects[0].probability == pytest.approx(0.61)
    assert summary.games[0].probability == pytest.approx(0.8)
    assert summary.decision.action == REVIEW
    assert summary.decision.unsafe_probability == pytest.approx(0.6)
    assert summary.decision.reasons[0].time_seconds == pytest.approx(6.5)
    assert summary.analyzed_seconds == 12
    assert not summary.failures
    assert not summary.degraded
    assert not summary.HasField("attachment")
    assert "events" in [step.model for step in summary.steps]


async def test_only_what_is_asked_for_is_said(caller: Caller, video: ScriptedVideo) -> None:
    replies, summary = await analyze(caller, *clip(2, features=[pb.MEDIA_FEATURE_HIGHLIGHTS]))
    assert list(video.start.features) == [video_pb2.VIDEO_FEATURE_EVENTS]
    assert not replies[1].segment.events
    assert not replies[1].segment.HasField("highlight")
    assert not summary.HasField("decision")
    assert not summary.labels
    await analyze(caller, *clip(2))
    everything = set(video_pb2.VideoFeature.values()) - {0, video_pb2.VIDEO_FEATURE_FACES}
    assert set(video.start.features) == everything


async def test_the_policys_labels_are_looked_for_without_being_said(caller: Caller, video: ScriptedVideo) -> None:
    rule = policy_pb.ImageRule(blocked_labels=["cacodemon"])
    await ContentStubs(caller.channel).set_policy(image_rule=rule)
    replies, summary = await analyze(caller, *clip(3, features=[pb.MEDIA_FEATURE_SAFETY]))
    assert summary.decision.action == BLOCK
    assert summary.decision.reasons[0].code == "blocked_label"
    assert summary.decision.reasons[0].time_seconds == pytest.approx(2.5)
    assert not replies[1].segment.labels
    assert not replies[1].segment.objects
    assert replies[1].segment.HasField("unsafe_probability")


async def test_faces_that_are_not_allowed_leave_the_rest(caller: Caller, script: Script, video: ScriptedVideo) -> None:
    features = [pb.MEDIA_FEATURE_FACES, pb.MEDIA_FEATURE_LABELS]
    _, summary = await analyze(caller, *clip(2, features=features))
    assert failures(summary) == {pb.MEDIA_FEATURE_FACES: "FACES_NOT_ALLOWED"}
    assert not summary.degraded
    assert video_pb2.VIDEO_FEATURE_FACES not in video.start.features
    script.faces_allowed = True
    await analyze(caller, *clip(2, features=features))
    assert video_pb2.VIDEO_FEATURE_FACES in video.start.features


async def test_models_that_are_missing_are_named(caller: Caller, video: ScriptedVideo) -> None:
    problems = [
        media_pb2.VideoProblem(reason="MODEL_UNAVAILABLE", message=f"{what} cannot be found in this video: none")
        for what in ("events", "safety")
    ]
    video.others = {number: video_pb2.AnalyzeVideoResponse(problem=one) for number, one in enumerate(problems)}
    replies, summary = await analyze(caller, *clip(2))
    assert [reply.problem for reply in replies if reply.HasField("problem")] == problems
    assert failures(summary) == {
        pb.MEDIA_FEATURE_SAFETY: "MODEL_UNAVAILABLE",
        pb.MEDIA_FEATURE_EVENTS: "MODEL_UNAVAILABLE",
        pb.MEDIA_FEATURE_HIGHLIGHTS: "MODEL_UNAVAILABLE",
    }
    assert summary.degraded
    assert [reason.code for reason in summary.decision.reasons] == ["unavailable"]


@pytest.mark.parametrize(
    ("requests", "field", "limit"),
    [
        ([pb.AnalyzeClipRequest(chunk=b"x")], "start", "first message"),
        ([pb.AnalyzeClipRequest()], "start", "first message"),
        ([], "start", "first message"),
        ([*clip(1), *clip(0)], "start", "once"),
        ([*clip(1), pb.AnalyzeClipRequest()], "payload", "empty"),
        ([*clip(1), pb.AnalyzeClipRequest(chunk=bytes((1 << 20) + 1))], "chunk", "1,048,576"),
        (clip(0, sample_interval_seconds=0.1), "start.sample_interval_seconds", "0.5 to 60"),
        (clip(0, checkpoint_interval_seconds=601), "start.checkpoint_interval_seconds", "1 to 600"),
        (clip(0, highlight_count=-1), "start.highlight_count", "50"),
        (clip(0, features=[77]), "start.features[0]", "MEDIA_FEATURE_LABELS"),
        (clip(0, attach=pb.MediaAttachment()), "start.attach.item_id", "required"),
        (clip(0, options=pb.MediaOptions(label_count=-1)), "start.options.label_count", "20"),
    ],
)
async def test_bad_input_names_the_field_and_the_limit(
    caller: Caller, requests: list[pb.AnalyzeClipRequest], field: str, limit: str
) -> None:
    outcome = await refused(caller, *requests)
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations[field]


async def test_an_unknown_policy_or_item_is_not_found_before_a_chunk_is_taken(caller: Caller, script: Script) -> None:
    for start in ({"options": pb.MediaOptions(policy="never")}, {"attach": pb.MediaAttachment(item_id="nowhere")}):
        outcome = await refused(caller, *clip(0, **start))
        assert outcome.code is grpc.StatusCode.NOT_FOUND
    assert not script.asked


async def test_what_the_vision_service_refuses_is_refused_alike(caller: Caller, video: ScriptedVideo) -> None:
    violation = FieldViolation("chunk", "holds no video track")
    video.fails = {0: InvalidRequest([violation], "VIDEO_EMPTY")}
    outcome = await refused(caller, *clip(1))
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "VIDEO_EMPTY")
    assert outcome.violations == {"chunk": "holds no video track"}
    full = ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY", "too many videos", retry_after_seconds=2.0)
    video.fails = {-1: full}
    outcome = await refused(caller, *clip(1))
    assert (outcome.code, outcome.reason, outcome.retry_seconds) == (full.code, "TOO_MANY", 2.0)


async def test_a_vision_service_that_goes_away_leaves_a_way_to_go_on(caller: Caller, video: ScriptedVideo) -> None:
    video.fails = {3: Unavailable("SHUTTING_DOWN", "the service stops")}
    outcome = await refused(caller, *clip(4))
    assert outcome.code is grpc.StatusCode.UNAVAILABLE
    assert "checkpoint_interval_seconds" in outcome.message
    assert outcome.retry_seconds
    checkpoint = media_pb2.VideoCheckpoint(next_seconds=2, sealed_state=b"sealed")
    video.taken, video.others = 0, {1: video_pb2.AnalyzeVideoResponse(checkpoint=checkpoint)}
    outcome = await refused(caller, *clip(4, checkpoint_interval_seconds=1))
    assert "second 2" in outcome.message
    video.taken, video.fails = 0, {}
    _, summary = await analyze(caller, *clip(2, checkpoint=b"sealed"))
    assert video.start.checkpoint == b"sealed"
    assert summary.analyzed_seconds == 2


async def test_without_a_vision_service_a_clip_is_told_to_come_again(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_text=False, with_classical=False) as mesh:
        outcome = await refused(Caller(mesh.orchestrator, "default"), *clip(1))
    assert outcome.code is grpc.StatusCode.UNAVAILABLE
    assert outcome.reason == "VISION_SERVICE_UNAVAILABLE"


async def test_an_attached_clip_becomes_the_items_picture(caller: Caller, video: ScriptedVideo, script: Script) -> None:
    jpeg = b"\xff\xd8\xff"
    script.vectors = {jpeg + b"1": (0, 1, 0.1), jpeg + b"2": (1, 0, 0)}
    video.vector = (0, 1, 0)
    items = [
        catalog_pb.Item(item_id="one", title="One", picture=jpeg + b"1"),
        catalog_pb.Item(item_id="two", title="Two", picture=jpeg + b"2"),
        catalog_pb.Item(item_id="new", title="New"),
    ]
    await caller.ask("CatalogService.UpsertItems", catalog_pb.UpsertItemsRequest(items=items))
    _, summary = await analyze(caller, *clip(4, attach=pb.MediaAttachment(item_id="new")))
    assert summary.attachment == pb.AttachmentResult(attached=True, added_tags=["tabby"])
    assert [item.item_id for item in summary.similar_items] == ["one", "two"]
    item = (await caller.one("CatalogService.GetItem", catalog_pb.GetItemRequest(item_id="new"))).item
    assert list(item.tags) == list(item.picture_labels) == ["tabby"]
    video.taken, video.seconds = 0, {1: second(1, unsafe=0.9)}
    _, summary = await analyze(caller, *clip(4, attach=pb.MediaAttachment(item_id="two")))
    assert not summary.attachment.attached
    assert "not safe for work" in summary.attachment.detail


async def test_a_slow_reader_slows_the_upload_and_one_who_leaves_ends_it(caller: Caller, video: ScriptedVideo) -> None:
    video.padding = 100_000
    sent = 0

    async def requests() -> AsyncIterator[pb.AnalyzeClipRequest]:
        nonlocal sent
        yield pb.AnalyzeClipRequest(start=pb.ClipStart(features=[pb.MEDIA_FEATURE_LABELS]))
        for _ in range(5_000):
            yield pb.AnalyzeClipRequest(chunk=bytes(100_000))
            sent += 1

    call: Any = caller.channel.stream_stream(
        "/marquee.entertainment.v1.MediaService/AnalyzeClip",
        request_serializer=pb.AnalyzeClipRequest.SerializeToString,
        response_deserializer=pb.AnalyzeClipResponse.FromString,
    )(requests(), timeout=60)
    await call.read()
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.5)
    assert sent < 500, "500 MB went up while one answer was read"
    call.cancel()
    async with asyncio.timeout(10):
        await video.finished.wait()


async def test_the_clients_read_answers_while_they_send(
    mesh: ContentMesh, video: ScriptedVideo, tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(bytes(1_000_000))
    async with AsyncMarqueeClient(mesh.address) as client:
        replies = [reply async for reply in client.analyze_clip(file, highlight_count=3, label_count=1)]
    assert replies[-1].summary.analyzed_seconds == 4
    assert video.start.sample_interval_seconds == 0

    def both() -> None:
        video.taken = 0
        with MarqueeClient(mesh.address) as client:
            *_, last = client.analyze_clip([bytes(1_000_000)])
            assert last.summary.analyzed_seconds == 4
            video.taken, video.fails = 0, {1: InvalidRequest([FieldViolation("chunk", "is corrupt")])}
            with pytest.raises(InvalidArgument, match="corrupt"):
                list(client.analyze_clip(bytes(100_000) for _ in range(100)))

    await asyncio.to_thread(both)


async def test_the_asynchronous_client_says_what_ended_a_clip_that_goes_on(
    mesh: ContentMesh, video: ScriptedVideo
) -> None:
    full = ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY", "too many videos", retry_after_seconds=2.0)
    async with AsyncMarqueeClient(mesh.address) as client:
        for _ in range(10):
            video.taken, video.fails = 0, {2: full}
            with pytest.raises(ResourceExhausted, match="too many videos"):
                [reply async for reply in client.analyze_clip([bytes(200_000)] * 50)]


async def test_a_clip_that_cannot_be_read_on_is_not_taken_for_whole(mesh: ContentMesh, video: ScriptedVideo) -> None:
    def broken() -> Iterable[bytes]:
        yield b"x"
        raise OSError("the disk is gone")

    async with AsyncMarqueeClient(mesh.address) as client:
        with pytest.raises(OSError, match="the disk is gone"):
            [reply async for reply in client.analyze_clip(broken())]

    def blocking() -> None:
        with MarqueeClient(mesh.address) as client, pytest.raises(OSError, match="the disk is gone"):
            list(client.analyze_clip(broken()))

    await asyncio.to_thread(blocking)
