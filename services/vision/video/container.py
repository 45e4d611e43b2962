"""Which container the bytes of a video are in, and whether it can be decoded while it arrives.

ISO base media files (ISO/IEC 14496-12) are a row of boxes: size (uint32, big-endian), four letters, content. One whose
`moov` comes before its `mdat` and holds an `mvex` is fragmented: each `moof` says where the next samples lie. Any other
needs its whole index first, which usually comes last. Matroska and WebM begin with an EBML header that names the
document type; MPEG-TS is a row of packets of 188 bytes that begin with 0x47.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.vision.video.decoding.options import Demuxer
from services.vision.video.matroska import MatroskaCheck

FORMATS = "MP4 (fragmented or not), WebM, Matroska or MPEG-TS"
MAXIMUM_HEAD_BYTES = 4 << 20
"""Bytes that are looked at; an MP4 whose `moov` is not through by then is spooled."""

_BOX_HEAD = 8
_LARGE_BOX_HEAD = 16
_EBML = b"\x1aE\xdf\xa3"
_EBML_ENOUGH = 64
_TS_PACKET, _TS_SYNC, _TS_PACKETS = 188, 0x47, 3
# What may come before `moov` or `mdat`.
_BOXES = frozenset({b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"pdin", b"sidx", b"emsg", b"meta", b"prft"})
_INDEX_LAST = "the MP4's index comes after its pictures"
_NOT_FRAGMENTED = "the MP4 is not fragmented"
_LARGE_HEAD = "the MP4's header is very large"
_ANSWERED_LATER = (
    "so that it is analysed once the upload is complete; send fragmented MP4, WebM or MPEG-TS for results while it "
    "arrives"
)


@dataclass(frozen=True, slots=True)
class Container:
    """What the bytes are.

    Attributes:
        name: "mp4", "webm", "matroska" or "mpegts".
        demuxer: FFmpeg's name.
        spooled_because: one sentence on why nothing can be answered before the upload is complete; empty when it can.
    """

    name: str
    demuxer: Demuxer
    spooled_because: str = ""


class ContainerUnknown(ValueError):
    """The bytes are in no container that is taken; the message says what they seem to be."""


def find_container(head: bytes | bytearray, is_whole: bool = False) -> Container | None:
    """Return what a video's first bytes say, None when more are needed.

    Args:
        head: the bytes so far.
        is_whole: no more will come.

    Raises:
        ContainerUnknown: they are no video of a known container.
    """
    if head.startswith(_EBML):
        return _matroska(head, is_whole)
    if head[:1] == bytes([_TS_SYNC]):
        needed = _TS_PACKET * (_TS_PACKETS - 1) + 1
        if len(head) < needed and not is_whole:
            return None
        places = range(0, min(len(head), needed), _TS_PACKET)
        if len(head) >= _TS_PACKET and all(head[place] == _TS_SYNC for place in places):
            return Container("mpegts", "mpegts")
        raise ContainerUnknown(f"is no {FORMATS}")
    if len(head) < _BOX_HEAD and not is_whole and not _EBML.startswith(head):
        return None
    if len(head) < len(_EBML) and not is_whole:
        return None
    return _iso(head, is_whole)


def _matroska(head: bytes | bytearray, is_whole: bool) -> Container | None:
    if len(head) < _EBML_ENOUGH and not is_whole:
        return None
    kind = "webm" if b"webm" in head[:_EBML_ENOUGH] else "matroska"
    return Container(kind, "matroska")


def _iso(head: bytes | bytearray, is_whole: bool) -> Container | None:
    place, is_first = 0, True
    while True:
        box = _box(head, place)
        if box is None:
            if is_first and is_whole:
                raise ContainerUnknown(f"is no {FORMATS}")
            break
        letters, content, end = box
        if letters == b"moov":
            if end > MAXIMUM_HEAD_BYTES:
                return _spooled(_LARGE_HEAD)
            if end <= len(head):
                return Container("mp4", "mov") if _holds_mvex(head, content, end) else _spooled(_NOT_FRAGMENTED)
            break
        if letters == b"mdat":
            return _spooled(_INDEX_LAST)
        if letters == b"moof":
            raise ContainerUnknown("begins with a fragment; send the file's header (its moov) first")
        if letters not in _BOXES:
            raise ContainerUnknown(f"is no {FORMATS}")
        place, is_first = end, False
    if is_whole or len(head) >= MAXIMUM_HEAD_BYTES:
        # It ends within its header, or the header is endless; the decoder will say so.
        return _spooled(_LARGE_HEAD)
    return None


def _spooled(reason: str) -> Container:
    return Container("mp4", "mov", f"{reason}, {_ANSWERED_LATER}")


def _box(head: bytes | bytearray, place: int) -> tuple[bytes, int, int] | None:
    """Return the letters, first and last place of the content of the box at `place`, None when its head is not there
    yet.
    """
    if len(head) < place + _BOX_HEAD:
        return None
    size = int.from_bytes(head[place : place + 4], "big")
    letters = bytes(head[place + 4 : place + 8])
    content = place + _BOX_HEAD
    if size == 1:
        content = place + _LARGE_BOX_HEAD
        if len(head) < content:
            return None
        size = int.from_bytes(head[place + 8 : content], "big")
    elif size == 0:
        size = 1 << 62  # to the end of the file
    if place + size < content:
        raise ContainerUnknown(f"is no {FORMATS}")
    return letters, content, place + size


def _holds_mvex(head: bytes | bytearray, place: int, end: int) -> bool:
    while place < end:
        box = _box(head, place)
        if box is None:
            return False
        letters, _, place = box
        if letters == b"mvex":
            return True
    return False


class LengthCheck:
    """Tells whether a streamed video ended where its container says that it may: whole boxes, elements or packets.

    Args:
        container: what the bytes are.
    """

    def __init__(self, container: Container) -> None:
        self._is_iso = container.demuxer == "mov"
        self._is_packets = container.demuxer == "mpegts"
        self._matroska = MatroskaCheck() if container.demuxer == "matroska" else None
        self._received = 0
        self._next_box = 0
        self._head = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; boxes are skipped, not kept."""
        before, self._received = self._received, self._received + len(chunk)
        if self._matroska is not None:
            self._matroska.feed(chunk)
        if not self._is_iso:
            return
        while self._next_box < self._received:
            # The head of a box may lie in two chunks.
            have = self._next_box + len(self._head)
            wanted = self._next_box + _LARGE_BOX_HEAD
            self._head += chunk[max(0, have - before) : max(0, wanted - before)]
            try:
                box = _box(self._head, 0)
            except ContainerUnknown:
                self._is_iso = False  # damage, of which the decoder tells
                return
            if box is None or len(self._head) < _BOX_HEAD:
                return
            self._next_box += box[2]
            self._head.clear()

    @property
    def is_cut_short(self) -> bool:
        """Whether more bytes were announced than came."""
        if self._matroska is not None:
            return self._matroska.is_cut_short
        if self._is_packets:
            return self._received % _TS_PACKET != 0
        return self._is_iso and (self._next_box > self._received or bool(self._head))

    def take_damage(self) -> list[float]:
        """Return where the container was found damaged since the last time, in seconds; a decoder tells of other
        containers' damage itself.
        """
        if self._matroska is None:
            return []
        found, self._matroska.damage = self._matroska.damage, []
        return found
