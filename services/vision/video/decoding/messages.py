"""What a decoder tells its service, and the bytes it does so with.

A message is two little-endian uint32 (length of the header, length of the pixels), a header in JSON, and the pixels.
Nothing here needs FFmpeg: both sides import it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, TypeAlias

LENGTHS = struct.Struct("<II")
"""Lengths of a message's header and pixels."""
MAXIMUM_HEADER_BYTES = 1 << 16
MAXIMUM_PIXEL_BYTES = 1 << 24
"""No decoder sends more at once: 640 × 640 pixels are 1.2 MB. A service that is told of more stops listening."""


Use: TypeAlias = Literal["events", "sample"]
"""What a frame is for: the events model, or the models of pictures."""


class MalformedMessage(ValueError):
    """The bytes are no message of a decoder."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the video is; before anything else."""

    kind: ClassVar[str] = "opened"
    codec: str
    width: int
    """As shown, in pixels."""
    height: int
    frames_per_second: float
    """As declared; 0 when it is not."""
    duration_seconds: float
    """As declared; 0 when it is not."""
    origin: tuple[int, int, int]
    """Time stamp of the video's first frame, in units of numerator / denominator seconds."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame for a model to look at: the one that is shown at `time`."""

    kind: ClassVar[str] = "frame"
    use: Use
    time: float
    """Seconds from the video's first frame."""
    width: int
    height: int
    pixels: bytes
    """uint8[height, width, 3], RGB."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A change of scene."""

    kind: ClassVar[str] = "cut"
    time: float
    score: float
    """0 to 100, FFmpeg's scdet."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A part that could not be decoded; decoding goes on where it can."""

    kind: ClassVar[str] = "trouble"
    time: float
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Everything that belongs before `time` was sent."""

    kind: ClassVar[str] = "clock"
    time: float
    decoded_frames: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last message: the video is over, or cannot be decoded any further."""

    kind: ClassVar[str] = "ended"
    time: float
    """End of the last frame."""
    decoded_frames: int
    reason: str = ""
    """For programs; empty when the video simply ended."""
    message: str = ""
    """For people."""
    is_refused: bool = False
    """The video is not acceptable as a whole, rather than damaged at this place."""


Message: TypeAlias = Opened | Frame | Cut | Trouble | Clock | Ended
_CLASSES: dict[str, type[Any]] = {one.kind: one for one in (Opened, Frame, Cut, Trouble, Clock, Ended)}


def encode(message: Message) -> bytes:
    """Return a message's bytes, lengths first."""
    content = asdict(message)
    pixels: bytes = content.pop("pixels", b"")
    header = json.dumps({"kind": message.kind, **content}, separators=(",", ":")).encode()
    lengths: bytes = LENGTHS.pack(len(header), len(pixels))
    return lengths + header + pixels


def decode(header: bytes, pixels: bytes) -> Message:
    """Return the message of a header and its pixels.

    Raises:
        MalformedMessage: they are none: the decoder is not in its right mind any more.
    """
    try:
        content = json.loads(header)
        made = _CLASSES[content.pop("kind")]
        if made is Frame:
            content["pixels"] = pixels
        if set(content) - {field.name for field in fields(made)}:
            raise MalformedMessage("unknown fields")
        if made is Opened:
            content["origin"] = tuple(content["origin"])
        message: Message = made(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedMessage("not a decoder's message") from error
    if isinstance(message, Frame) and len(pixels) != message.width * message.height * 3:
        raise MalformedMessage("a frame of another size than it says")
    return message
