from __future__ import annotations

import pytest

from services.vision.video.container import (
    MAXIMUM_HEAD_BYTES,
    Container,
    ContainerUnknown,
    LengthCheck,
    find_container,
)
from tests.support.video_clips import clip


def box(letters: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return (len(content) + 8 if size is None else size).to_bytes(4, "big") + letters + content


FTYP = box(b"ftyp", b"isom\0\0\0\0")
FRAGMENTED_MOOV = box(b"moov", box(b"mvhd", bytes(20)) + box(b"mvex", bytes(8)))
WHOLE_MOOV = box(b"moov", box(b"mvhd", bytes(20)) + box(b"trak", bytes(40)))


@pytest.mark.parametrize(
    ("kind", "name", "is_spooled"),
    [
        ("fragmented", "mp4", False),
        ("mp4", "mp4", True),
        ("faststart", "mp4", True),
        ("webm", "webm", False),
        ("matroska", "matroska", False),
        ("mpegts", "mpegts", False),
    ],
)
def test_what_ffmpeg_writes_is_known(kind: str, name: str, is_spooled: bool) -> None:
    found = find_container(clip(2, kind), is_whole=True)
    assert found is not None
    assert (found.name, bool(found.spooled_because)) == (name, is_spooled)


@pytest.mark.parametrize("kind", ["fragmented", "mp4", "webm", "mpegts"])
def test_the_answer_does_not_depend_on_the_pieces(kind: str) -> None:
    video = clip(2, kind)
    places = (place for place in range(1, len(video)) if find_container(video[:place]) is not None)
    assert find_container(video[: next(places)]) == find_container(video)


@pytest.mark.parametrize(
    "head",
    [
        b"GIF89a" + bytes(300),
        b"\xff\xd8\xff\xe0" + bytes(300),
        bytes(400),
        b"RIFF\x10\0\0\0AVI LIST" + bytes(300),
        b"plain text, and a lot of it. " * 20,
        b"G" + bytes(600),
        box(b"ftyp", size=4),
        FTYP + box(b"moof", bytes(8)),
    ],
)
def test_other_bytes_are_refused(head: bytes) -> None:
    with pytest.raises(ContainerUnknown):
        find_container(head, is_whole=True)


@pytest.mark.parametrize("head", [b"a", b"GIF", b"\0\0\0", b"G"])
def test_a_whole_upload_of_a_few_bytes_is_no_video(head: bytes) -> None:
    with pytest.raises(ContainerUnknown):
        find_container(head, is_whole=True)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (FTYP + FRAGMENTED_MOOV, ""),
        (FTYP + box(b"free", bytes(100)) + FRAGMENTED_MOOV, ""),
        (FTYP + WHOLE_MOOV, "not fragmented"),
        (FTYP + box(b"mdat", size=0), "index comes after"),
        (FTYP + box(b"mdat", (1 << 40).to_bytes(8, "big"), size=1), "index comes after"),
        (FTYP + box(b"moov", size=MAXIMUM_HEAD_BYTES), "very large"),
    ],
)
def test_an_mp4_is_streamed_when_its_index_lets_it(head: bytes, reason: str) -> None:
    found = find_container(head)
    assert found is not None
    assert reason in found.spooled_because
    assert bool(reason) == bool(found.spooled_because)


def test_a_header_that_is_not_through_yet_is_waited_for() -> None:
    whole = FTYP + FRAGMENTED_MOOV
    assert all(find_container(whole[:length]) is None for length in range(len(whole)))


@pytest.mark.parametrize("size", [1, 7, 64, 1_000])
def test_a_video_that_ends_within_a_box_is_cut_short(size: int) -> None:
    video, container = clip(2), Container("mp4", "mov")
    for part, expected in ((video, False), (video[:-1], True), (video[: len(video) // 2], True)):
        check = LengthCheck(container)
        for place in range(0, len(part), size):
            check.feed(part[place : place + size])
        assert check.is_cut_short is expected


def test_a_transport_stream_consists_of_whole_packets() -> None:
    video = clip(2, "mpegts")
    whole, cut = LengthCheck(Container("mpegts", "mpegts")), LengthCheck(Container("mpegts", "mpegts"))
    whole.feed(video)
    cut.feed(video[:-50])
    assert not whole.is_cut_short
    assert cut.is_cut_short
