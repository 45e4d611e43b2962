from __future__ import annotations

import pytest

from services.vision.video.matroska import MatroskaCheck, read_element
from tests.support.video_clips import clip

CLUSTER = bytes.fromhex("1F43B675")


def element(identifier: str, content: bytes, size: int | None = None) -> bytes:
    length = len(content) if size is None else size
    return bytes.fromhex(identifier) + (length | 1 << 28).to_bytes(4, "big") + content


def block(time: int, content: bytes = bytes(200)) -> bytes:
    return element("A3", b"\x81" + time.to_bytes(2, "big", signed=True) + b"\x80" + content)


def live(clusters: int, blocks: int = 10) -> bytes:
    """What is written while it is sent: nobody knows the sizes of segment and clusters yet."""
    unknown = b"\x01" + b"\xff" * 7
    info = element("1549A966", element("2AD7B1", (1_000_000).to_bytes(3, "big")) + element("4D80", b"name"))
    written = element("1A45DFA3", element("4282", b"webm")) + bytes.fromhex("18538067") + unknown + info
    for second in range(clusters):
        written += CLUSTER + unknown + element("E7", (second * 1_000 + 500).to_bytes(2, "big"))
        written += b"".join(block(number * 100) for number in range(blocks))
    return written


def checked(video: bytes, size: int = 1_000) -> MatroskaCheck:
    check = MatroskaCheck()
    for place in range(0, len(video), size):
        check.feed(video[place : place + size])
    return check


VIDEOS = {"webm": clip(4, "webm"), "matroska": clip(4, "matroska"), "live": live(4)}


@pytest.mark.parametrize("kind", VIDEOS)
@pytest.mark.parametrize("size", [1, 13, 4_096, 1 << 20])
def test_a_whole_video_is_whole_however_it_is_cut_into_pieces(kind: str, size: int) -> None:
    check = checked(VIDEOS[kind], size)
    assert not check.damage
    assert not check.is_cut_short


@pytest.mark.parametrize("kind", VIDEOS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_end_within_an_element_is_too_early(kind: str, share: float) -> None:
    video = VIDEOS[kind]
    end = int(len(video) * share)
    if kind == "live":  # between two elements nobody can know
        end = video.index(b"\xa3", end) + 50
    check = checked(video[:end])
    assert check.is_cut_short
    assert not check.damage


@pytest.mark.parametrize("size", [1, 700, 1 << 20])
def test_damage_is_found_with_its_time_and_what_follows_is_followed_on(size: int) -> None:
    video = live(4)
    third = video.index(CLUSTER, video.index(CLUSTER, video.index(CLUSTER) + 1) + 1)
    place = video.index(block(500), third)
    check = checked(video[:place] + bytes(300) + video[place + 300 :], size)
    assert check.damage == pytest.approx([2.4])
    assert not check.is_cut_short
    assert checked(video[:place] + bytes(300) + video[place + 300 : -100], size).is_cut_short


@pytest.mark.parametrize(
    "broken",
    [
        element("A3", bytes(10), 90 << 20),  # a block of 90 MB
        element("ABCD", bytes(10)),  # nothing that a cluster holds
        CLUSTER + b"\x84" + element("A3", bytes(10)),  # a block larger than its cluster
        b"\x00" * 20,
    ],
)
def test_what_cannot_be_is_damage(broken: bytes) -> None:
    video = live(1)
    assert checked(video + broken + live(1)[live(1).index(CLUSTER) :]).damage == pytest.approx([0.9])


def test_an_element_whose_head_is_not_through_is_waited_for() -> None:
    head = element("1A45DFA3", b"")
    assert all(read_element(head[:length], 0) is None for length in range(len(head)))
    assert read_element(head, 0) == (0x1A45DFA3, 8, 0)
    with pytest.raises(ValueError, match="identifier"):
        read_element(b"\x08aaaa", 0)
    with pytest.raises(ValueError, match="size"):
        read_element(b"\xa3\x00aaa", 0)
