"""Follows the elements of Matroska and WebM (RFC 9559) while they pass, to find damage and an end that comes too early.

FFmpeg passes over damage in this container without a word and goes on with the next cluster. A file is a row of
elements: identifier, size of the content, content; some hold others. A size may be unknown where a file is written
while it is sent: such an element ends where one begins that it cannot hold.
"""

from __future__ import annotations

from typing import TypeAlias

_EBML, _SEGMENT, _INFO, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1F43B675
_TIMESTAMP_SCALE, _TIMESTAMP, _SIMPLE_BLOCK = 0x2AD7B1, 0xE7, 0xA3
_READ = (_TIMESTAMP_SCALE, _TIMESTAMP, _SIMPLE_BLOCK)
_VOID, _CHECKSUM = 0xEC, 0xBF
# What a segment holds: seek head, info, tracks, clusters, cues, attachments, chapters, tags.
_IN_SEGMENT = frozenset(
    {0x114D9B74, _INFO, 0x1654AE6B, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _VOID, _CHECKSUM}
)
# What a cluster holds: its time, silent tracks, its place, the size before it, blocks plain, in groups or encrypted.
_IN_CLUSTER = frozenset({_TIMESTAMP, 0x5854, 0xA7, 0xAB, _SIMPLE_BLOCK, 0xA0, 0xAF, _VOID, _CHECKSUM})
_CLUSTER_BYTES = _CLUSTER.to_bytes(4, "big")
_LONGEST_IDENTIFIER, _LONGEST_SIZE = 4, 8
_LARGEST_BLOCK = 64 << 20
_NANOSECONDS = 1e9

_Element: TypeAlias = tuple[int, int, "int | None"]


class MatroskaCheck:
    """A file on its way.

    Attributes:
        damage: for each damaged place, the time in seconds of what came before it, from the first cluster on; whoever
            reads it may clear it.
    """

    def __init__(self) -> None:
        self.damage: list[float] = []
        self._head = bytearray()
        self._place = 0  # of the first byte in `_head`
        self._skip = 0
        # Identifier and end of what is open, None for an unknown one.
        self._open: list[tuple[int, int | None]] = []
        self._is_lost = False
        self._is_over = False
        self._scale = 1_000_000
        self._first: int | None = None
        self._cluster = 0
        self._time = 0.0
        self._told = -1.0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; contents are skipped, not kept."""
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        self._place += skipped
        if self._is_over or skipped == len(chunk):
            return
        self._head += memoryview(chunk)[skipped:]
        done = 0
        while not self._is_over:
            if self._is_lost:
                found = self._head.find(_CLUSTER_BYTES, done)
                if found < 0:  # its beginning may be there
                    done = max(done, len(self._head) - len(_CLUSTER_BYTES) + 1)
                    break
                self._go_on()
                done = found
            taken = self._take(done)
            if taken is None:
                break
            done = taken
        self._skip = max(0, done - len(self._head))
        consumed = min(done, len(self._head))
        del self._head[:consumed]
        self._place += consumed

    @property
    def is_cut_short(self) -> bool:
        """Whether more bytes were announced than came."""
        received = self._place + len(self._head)
        announced = any(end is not None and received < end for _, end in self._open)
        return announced or self._skip > 0 or (bool(self._head) and not self._is_lost and not self._is_over)

    def _take(self, at: int) -> int | None:
        """Take the element at a place in `_head`; return where to go on, None when more bytes are needed."""
        place = self._place + at
        while self._open and (limit := self._open[-1][1]) is not None and place >= limit:
            if self._open.pop()[0] == _SEGMENT:
                self._is_over = True
                return at
        try:
            element = read_element(self._head, at)
            if element is None:
                return None
            identifier, begin, size = element
            self._check(identifier, None if size is None else self._place + begin + size)
        except ValueError:
            if self._time > self._told:
                self.damage.append(self._time)
            self._told = self._time
            self._is_lost = True
            return at + 1
        if identifier in (_SEGMENT, _INFO, _CLUSTER):
            self._open.append((identifier, None if size is None else self._place + begin + size))
            return begin
        assert size is not None
        content = self._head[begin : begin + min(size, _LONGEST_SIZE)]
        if identifier in _READ and len(content) < min(size, _LONGEST_SIZE):
            return None
        self._note(identifier, content)
        return begin + size

    def _check(self, identifier: int, end: int | None) -> None:
        """Close what cannot hold an element, and raise ValueError when nothing that is open can."""
        if self._open and self._open[-1] == (_CLUSTER, None) and identifier in _IN_SEGMENT - _IN_CLUSTER:
            self._open.pop()
        parent, limit = self._open[-1] if self._open else (0, None)
        if parent == _SEGMENT:
            is_known = identifier in _IN_SEGMENT
        elif parent == _CLUSTER:
            is_known = identifier in _IN_CLUSTER and end is not None and end - self._place < _LARGEST_BLOCK
        else:
            is_known = parent == _INFO or identifier in (_EBML, _SEGMENT, _VOID)
        may_be_open = identifier in (_SEGMENT, _CLUSTER)
        if not is_known or (end is None and not may_be_open) or (limit is not None and end is not None and end > limit):
            raise ValueError

    def _note(self, identifier: int, content: bytes | bytearray) -> None:
        if identifier == _TIMESTAMP_SCALE:
            self._scale = int.from_bytes(content, "big") or self._scale
        elif identifier == _TIMESTAMP:
            self._cluster = int.from_bytes(content, "big")
            if self._first is None:
                self._first = self._cluster
            self._reach(0)
        elif identifier == _SIMPLE_BLOCK:
            # Number of the track, as a size is written, then the time within the cluster.
            track = 9 - content[0].bit_length() if content else 0
            self._reach(int.from_bytes(content[track : track + 2], "big", signed=True))

    def _reach(self, ticks: int) -> None:
        time = (self._cluster - (self._first or 0) + ticks) * self._scale / _NANOSECONDS
        self._time = max(self._time, time)

    def _go_on(self) -> None:
        """Begin anew at a cluster, as FFmpeg does."""
        self._is_lost = False
        self._open = [one for one in self._open if one[0] == _SEGMENT][:1] or [(_SEGMENT, None)]


def read_element(head: bytes | bytearray, at: int) -> _Element | None:
    """Return an element's identifier, the place of its content and its size (None: unknown), or None when its head is
    not through yet.

    Raises:
        ValueError: no element begins there.
    """
    if at >= len(head):
        return None
    length = 9 - head[at].bit_length()
    if length > _LONGEST_IDENTIFIER:
        raise ValueError("no identifier")
    sized = at + length
    if sized >= len(head):
        return None
    width = 9 - head[sized].bit_length()
    if width > _LONGEST_SIZE:
        raise ValueError("no size")
    if sized + width > len(head):
        return None
    bits = (1 << 7 * width) - 1
    size = int.from_bytes(head[sized : sized + width], "big") & bits
    return int.from_bytes(head[at:sized], "big"), sized + width, None if size == bits else size
