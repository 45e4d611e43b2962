"""Reads SQLite's write-ahead log, to tear what was never committed. Format: https://www.sqlite.org/fileformat2.html#walformat"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


def committed_end(content: bytes) -> int:
    """Return where the last commit of a log ends: what follows belongs to no finished transaction."""
    page_bytes = int.from_bytes(content[8:12], "big")
    salts = content[16:24]
    end = position = _HEADER_BYTES
    while position + _FRAME_HEADER_BYTES + page_bytes <= len(content):
        _, pages_after_commit = struct.unpack_from(">II", content, position)
        if content[position + 8 : position + 16] != salts:
            break  # left from before the log was last reset
        position += _FRAME_HEADER_BYTES + page_bytes
        if pages_after_commit:
            end = position
    return end


def tear(path: Path) -> str:
    """Leave the log as a power failure in the middle of the next write would: half a frame behind the last commit.

    Returns:
        What was done, for the report.
    """
    content = path.read_bytes()
    if len(content) < _HEADER_BYTES:
        return "the log was empty"
    end = committed_end(content)
    page_bytes = int.from_bytes(content[8:12], "big")
    half_frame = struct.pack(">II", 1, 0) + content[16:24] + os.urandom(8 + page_bytes // 2)
    path.write_bytes(content[:end] + half_frame)
    return f"cut {len(content) - end:,} bytes behind the last commit, {len(half_frame):,} bytes of half a page written"
