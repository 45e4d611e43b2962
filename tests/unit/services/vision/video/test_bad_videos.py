"""Videos that are broken, strange or too large: each has an answer in words, and the service goes on."""

from __future__ import annotations

import io
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import grpc
import pytest

from marquee.vision.v1 import video_pb2 as pb
from services.vision.video import sources
from tests.support.video_calls import VideoService, analyze, ask, chunks, start_with, video_service
from tests.support.video_clips import RATE, clip, sound_only

INVALID = grpc.StatusCode.INVALID_ARGUMENT
ROTATIONS = {
    # The transformation matrix of a track header (ISO/IEC 14496-12, 8.3.2), 16.16 fixed point.
    90: (0, 0x10000, 0, -0x10000, 0, 0),
    180: (-0x10000, 0, 0, 0, -0x10000, 0),
}


@pytest.fixture
async def service(models: Path) -> AsyncIterator[VideoService]:
    async with video_service(models, maximum_video_pixels=4096 * 2304) as running:
        yield running


@pytest.mark.parametrize(
    ("video", "reason", "words"),
    [
        (b"", "VIDEO_EMPTY", "no video"),
        (b"GIF89a" + bytes(5_000), "VIDEO_FORMAT_UNKNOWN", "WebM"),
        (b"this is a letter, not a film. " * 50, "VIDEO_FORMAT_UNKNOWN", "MPEG-TS"),
        (sound_only(), "VIDEO_WITHOUT_TRACK", "no video track"),
        (clip(2)[:300], "VIDEO_WITHOUT_TRACK", "no video track"),
        (clip(2)[:1_300], "VIDEO_WITHOUT_FRAMES", "no frame"),
        (clip(2, "mp4")[:2_000], "VIDEO_CORRUPT", "header"),
        (clip(2, "webm")[:100], "VIDEO_CORRUPT", "header"),
        (clip(1, "matroska", codec="ffv1"), "VIDEO_CODEC_UNKNOWN", "ffv1"),
    ],
    ids=["empty", "gif", "text", "sound", "cut header", "header only", "cut index", "cut webm", "codec"],
)
async def test_what_is_no_video_is_refused(service: VideoService, video: bytes, reason: str, words: str) -> None:
    answers = await analyze(service.stub, video)
    assert (answers.outcome.code, answers.outcome.reason) == (INVALID, reason), answers.outcome.message
    assert words in answers.outcome.violations["chunk"]
    assert not answers.responses


@pytest.mark.parametrize("kind", ["fragmented", "mpegts", "webm", "matroska"])
async def test_a_video_that_is_cut_off_is_answered_up_to_there(service: VideoService, kind: str) -> None:
    video = clip(4, kind)
    answers = await analyze(service.stub, video[: len(video) * 5 // 8 - 7])
    assert answers.outcome.code is grpc.StatusCode.OK
    assert 2 <= len(answers.segments) <= 3
    assert answers.summary.partial
    problem = answers.problems["VIDEO_TRUNCATED"]
    assert 1.5 <= problem.time_seconds <= 3
    assert "ends before" in problem.message


def corrupt(video: bytes, begin: float, end: float) -> bytes:
    """Overwrite a stretch in the middle, bit by bit differently."""
    first, last = int(len(video) * begin), int(len(video) * end)
    noise = bytes((index * 73 + 41) % 256 for index in range(last - first))
    return video[:first] + noise + video[last:]


@pytest.mark.parametrize("kind", ["fragmented", "mpegts", "webm", "matroska", "mp4"])
async def test_damage_in_the_middle_is_named_with_its_place(service: VideoService, kind: str) -> None:
    answers = await analyze(service.stub, corrupt(clip(6, kind), 0.5, 0.58))
    assert answers.outcome.code is grpc.StatusCode.OK
    assert answers.summary.partial
    assert 2 <= answers.problems["VIDEO_CORRUPT"].time_seconds <= 4.5
    assert len(answers.segments) >= 3
    assert answers.summary.analyzed_seconds >= 2.5


async def test_frames_may_come_at_any_pace(service: VideoService) -> None:
    times = [0, 40, 300, 310, 320, 1_500, 1_900, 2_000, 4_100, 4_200, 4_800]
    answers = await analyze(service.stub, clip(kind="matroska", times=tuple(times)), [pb.VIDEO_FEATURE_EVENTS])
    assert [segment.start_seconds for segment in answers.segments] == [0, 1, 2, 3, 4]
    assert all(segment.HasField("highlight") for segment in answers.segments)
    assert answers.summary.decoded_frames == len(times)


async def test_a_gap_between_frames_is_no_damage(service: VideoService) -> None:
    times = [*range(0, 2_000, 100), 4_500, *range(4_600, 5_000, 100)]
    answers = await analyze(service.stub, clip(kind="matroska", times=tuple(times)), [pb.VIDEO_FEATURE_EVENTS])
    assert not answers.problems
    assert not answers.summary.partial
    assert answers.summary.decoded_frames == len(times)


async def test_one_frame_is_a_video(service: VideoService) -> None:
    answers = await analyze(service.stub, clip(1 / RATE))
    (segment,) = answers.segments
    assert 0 < segment.end_seconds <= 0.1
    assert segment.HasField("highlight")
    assert answers.summary.decoded_frames == 1


@pytest.mark.parametrize(("width", "height", "is_taken"), [(3840, 2160, True), (4096, 4096, False)])
async def test_four_k_is_taken_and_more_is_refused(
    service: VideoService, width: int, height: int, is_taken: bool
) -> None:
    answers = await analyze(service.stub, clip(0.25, width=width, height=height))
    if is_taken:
        assert (answers.info.width, answers.info.height) == (width, height)
        assert answers.summary.decoded_frames == 3
    else:
        assert (answers.outcome.code, answers.outcome.reason) == (INVALID, "VIDEO_TOO_LARGE")
        assert "4096 × 4096" in answers.outcome.message
        assert "9,437,184" in answers.outcome.message


@pytest.mark.parametrize(("degrees", "size"), [(90, (96, 128)), (180, (128, 96))])
async def test_a_turned_video_is_looked_at_upright(service: VideoService, degrees: int, size: tuple[int, int]) -> None:
    video = clip(1, "mp4")
    plain = (0x10000, 0, 0, 0, 0x10000, 0)
    place = video.index(b"tkhd")
    matrix = b"".join(number.to_bytes(4, "big", signed=True) for number in plain)
    turned = b"".join(number.to_bytes(4, "big", signed=True) for number in ROTATIONS[degrees])
    place = video.index(matrix, place)
    answers = await analyze(service.stub, video[:place] + turned + video[place + len(turned) :])
    assert (answers.info.width, answers.info.height) == size
    assert len(answers.segments) == 1


async def test_what_exceeds_the_longest_video_is_left_out(models: Path) -> None:
    async with video_service(models, maximum_video_seconds=2.4) as service:
        answers = await analyze(service.stub, clip(4))
        assert [segment.start_seconds for segment in answers.segments] == [0, 1, 2]
        assert answers.problems["VIDEO_TOO_LONG"].time_seconds == pytest.approx(2.4, abs=0.15)
        assert answers.summary.partial


async def test_disk_for_videos_is_bounded(models: Path) -> None:
    size = len(clip(2, "mp4"))
    async with video_service(models, maximum_spooled_video_bytes=size - 1) as service:
        answers = await analyze(service.stub, clip(2, "mp4"))
        assert (answers.outcome.code, answers.outcome.reason) == (INVALID, "VIDEO_TOO_LARGE")
        assert f"{size - 1:,}" in answers.outcome.message
    async with video_service(models, video_spool_bytes=size - 1) as service:
        answers = await analyze(service.stub, clip(2, "mp4"))
        assert answers.outcome.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (answers.outcome.reason, answers.outcome.retry_seconds) == ("VIDEO_SPOOL_FULL", 10)


def demanding() -> bytes:
    """A video whose frames refer to sixteen others, of 14 MB each."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 4096, 2304, "yuv420p"
        stream.options = {"preset": "ultrafast", "x264-params": "ref=16:keyint=100:threads=1:scenecut=0"}
        picture = av.VideoFrame(stream.width, stream.height, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes([90]) * plane.buffer_size)
        for _ in range(10):
            picture.pts = None
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    return buffer.getvalue()


async def test_a_video_that_wants_more_memory_than_a_decoder_may_take_ends_there(models: Path) -> None:
    async with video_service(models, video_decoder_bytes=256 << 20) as service:
        answers = await analyze(service.stub, demanding())
        assert answers.outcome.code is grpc.StatusCode.OK
        assert "256 MiB" in answers.problems["VIDEO_TOO_LARGE"].message
        assert "VIDEO_CORRUPT" not in answers.problems
        assert answers.summary.partial
        assert answers.summary.decoded_frames >= 1
        assert (await analyze(service.stub, clip(1))).segments


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: a write then fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("piece", [1_000, 1 << 20])
async def test_a_full_disk_is_told_and_leaves_nothing_behind(models: Path, tmp_path: Path, piece: int) -> None:
    # What comes after the head is not looked at before the upload is over.
    video = clip(1, "mp4")
    large = video[: video.index(b"mdat") - 4] + (0).to_bytes(4, "big") + b"mdat" + bytes(9 << 20)
    spool = tmp_path / "spool"
    spool.mkdir()
    limits = {"video_spool_directory": spool, "video_spool_bytes": 10 << 20}
    async with video_service(models, **limits) as service:
        with largest_file(8 << 20):
            answers = await ask(
                service.stub, [start_with(), *chunks(large, 1 << 20)[:8], *chunks(bytes(1 << 20), piece)]
            )
        assert answers.outcome.code is grpc.StatusCode.RESOURCE_EXHAUSTED, answers.outcome.message
        assert (answers.outcome.reason, answers.outcome.retry_seconds) == ("VIDEO_SPOOL_FULL", 10)
        assert not list(spool.iterdir())
        # Its room was given back, too.
        assert len((await analyze(service.stub, clip(1, "mp4"))).segments) == 1
        spool.rmdir()
        answers = await analyze(service.stub, clip(1, "mp4"))
        assert (answers.outcome.code, answers.outcome.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "VIDEO_SPOOL_UNAVAILABLE",
        )
        assert str(spool) not in answers.outcome.message


async def test_without_a_decoder_single_frames_are_still_taken(
    service: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "is_decoder_installed", lambda: False)
    answers = await analyze(service.stub, clip(2))
    assert (answers.outcome.code, answers.outcome.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "VIDEO_DECODER_MISSING",
    )
    assert "marquee[video]" in answers.outcome.message
    assert "frames" in answers.outcome.message
    frame = pb.VideoFrame(content=bytes(3 * 64), width=8, height=8)
    taken = await ask(service.stub, [start_with(), pb.AnalyzeVideoRequest(frame=frame)])
    assert len(taken.segments) == 1
