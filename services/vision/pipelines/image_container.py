"""Looks into an encoded picture's container before any decoder touches it: format, size, structure.

A decoder trusts the header and allocates what it promises, so everything that makes decoding expensive is read here
first, from the bytes alone: dimensions, number of scans, number of segments. The walk never looks at pixels.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

ImageFormat = Literal["JPEG", "PNG", "WEBP"]
CONTENT_TYPES: dict[ImageFormat, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}

# Real files stay far below these: progressive JPEG encoders write about 10 scans, ICC profiles and XMP at most some
# hundred segments, and PNG encoders data chunks of 8 KiB or more. A hostile file of 8 MiB can hold 100,000 of each,
# and every one costs a pass over the picture or a trip through the decoder's interpreter loop.
MAX_JPEG_SCANS = 64
MAX_JPEG_SEGMENTS = 2_048
MAX_PNG_CHUNKS = 8_192

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The chunks that decide pixels and orientation. Text, colour profiles and animation frames stay outside the decoder.
_PNG_CHUNKS_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})
# A marker is 0xFF and a code; 0x00 is an escaped 0xFF, 0xFF is filling, 0x01 and 0xD0–0xD8 have no content.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, 0xD9


class ImageRefused(ValueError):
    """A picture that will not be decoded, with what the caller needs to know.

    Attributes:
        reason: Stable name for programs: IMAGE_EMPTY, IMAGE_TOO_LARGE, IMAGE_TOO_COMPLEX, IMAGE_FORMAT_UNSUPPORTED,
            IMAGE_MISLABELLED, IMAGE_TRUNCATED or IMAGE_CORRUPT.
        description: What is wrong, the limit that was passed, and what to do; safe to send to the caller.
    """

    def __init__(self, reason: str, description: str) -> None:
        super().__init__(f"{reason}: {description}")
        self.reason = reason
        self.description = description


@dataclass(frozen=True, slots=True)
class ImageContainer:
    """What the container promises, and the bytes that a decoder needs to keep the promise.

    Attributes:
        format: Format found in the bytes.
        width: Columns as stored, before the orientation tag, at least 1.
        height: Rows as stored, at least 1.
        content: The file; of a PNG, only the chunks that decide pixels and orientation.
    """

    format: ImageFormat
    width: int
    height: int
    content: bytes


def sniff_format(data: bytes) -> ImageFormat:
    """Returns the format that the first bytes show.

    Raises:
        ImageRefused: IMAGE_FORMAT_UNSUPPORTED for anything but JPEG, PNG and WebP.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_PNG_SIGNATURE):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise ImageRefused(
        "IMAGE_FORMAT_UNSUPPORTED",
        "the bytes are not a JPEG, PNG or WebP picture; convert the picture to one of these",
    )


def read_container(data: bytes) -> ImageContainer:
    """Walks the container of `data` in time proportional to the number of its segments.

    Raises:
        ImageRefused: IMAGE_FORMAT_UNSUPPORTED, IMAGE_TRUNCATED, IMAGE_CORRUPT or IMAGE_TOO_COMPLEX.
    """
    image_format = sniff_format(data)
    try:
        container = _WALKERS[image_format](data)
    except struct.error as error:
        raise _truncated(image_format) from error
    if container.width < 1 or container.height < 1:
        raise _corrupt(image_format, "its header gives a size of zero")
    return container


def _walk_png(data: bytes) -> ImageContainer:
    # Portable Network Graphics, third edition (W3C, 2025), section 5.
    width, height = 0, 0
    kept = [_PNG_SIGNATURE]
    start = len(_PNG_SIGNATURE)
    for number in range(MAX_PNG_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + length + 12
        if end > len(data):
            raise _truncated("PNG")
        if (number == 0) != (kind == b"IHDR") or (number == 0 and length != 13):
            raise _corrupt("PNG", "it does not begin with one header chunk")
        if number == 0:
            width, height = struct.unpack_from(">II", data, start + 8)
        if kind in _PNG_CHUNKS_KEPT:
            chunk = data[start:end]
            if zlib.crc32(memoryview(chunk)[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise _corrupt("PNG", "a checksum is wrong")
            kept.append(chunk)
        if kind == b"IEND":
            return ImageContainer("PNG", width, height, b"".join(kept))
        start = end
    raise _too_complex("PNG", MAX_PNG_CHUNKS, "chunks")


def _walk_jpeg(data: bytes) -> ImageContainer:
    # ITU-T T.81, annex B.
    width, height, scans = 0, 0, 0
    start = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, start)
        if found is None:
            raise _truncated("JPEG")
        marker, content = found[1][0], found.end()
        if marker == _JPEG_END:
            if scans == 0:
                raise _corrupt("JPEG", "it ends before any picture data")
            return ImageContainer("JPEG", width, height, data)
        if marker in _JPEG_FRAME_MARKERS:
            if width:
                raise _corrupt("JPEG", "it has two frame headers")
            height, width = struct.unpack_from(">HH", data, content + 3)
            if not (width and height):
                raise _corrupt("JPEG", "its header gives a size of zero")
        if marker == _JPEG_START_OF_SCAN:
            scans += 1
            if scans > MAX_JPEG_SCANS:
                raise _too_complex("JPEG", MAX_JPEG_SCANS, "scans")
        start = content + struct.unpack_from(">H", data, content)[0]
    raise _too_complex("JPEG", MAX_JPEG_SEGMENTS, "segments")


def _walk_webp(data: bytes) -> ImageContainer:
    # RFC 9649, sections 2.3 to 2.7. The decoder allocates the whole canvas when it opens a file: read the size first.
    if 8 + struct.unpack_from("<I", data, 4)[0] > len(data):
        raise _truncated("WEBP")
    kind = data[12:16]
    if kind == b"VP8X":
        wide, high = struct.unpack_from("<I", data, 24)[0], struct.unpack_from("<I", data, 26)[0]
        width, height = (wide & 0xFFFFFF) + 1, (high >> 8) + 1
    elif kind == b"VP8L" and data[20:21] == b"\x2f":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise _corrupt("WEBP", "it does not begin with a picture chunk")
    return ImageContainer("WEBP", width, height, data)


_WALKERS = {"JPEG": _walk_jpeg, "PNG": _walk_png, "WEBP": _walk_webp}


def _truncated(image_format: str) -> ImageRefused:
    return ImageRefused(
        "IMAGE_TRUNCATED", f"the {image_format} picture ends before its end marker; send the whole file"
    )


def _corrupt(image_format: str, what: str) -> ImageRefused:
    return ImageRefused("IMAGE_CORRUPT", f"the {image_format} picture is damaged: {what}; encode it again")


def _too_complex(image_format: str, limit: int, parts: str) -> ImageRefused:
    return ImageRefused(
        "IMAGE_TOO_COMPLEX", f"the {image_format} picture has more than {limit} {parts}; encode it again"
    )
