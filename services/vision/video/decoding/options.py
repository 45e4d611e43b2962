"""What a decoder is asked to do, and how that is handed to its process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Demuxer = Literal["mov", "matroska", "mpegts"]
"""FFmpeg's names of the only formats that are ever tried."""


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """One stream's work.

    Attributes:
        demuxer: format of the bytes.
        is_seekable: whether the input is a file and not a pipe.
        events_size: width and height of frames for the events model; None sends none.
        events_rate: such frames a second.
        sample_interval: seconds between frames for picture models; 0 sends none.
        sample_side: longest side of such frames, in pixels; smaller ones stay as they are.
        cut_threshold: least score of a change of scene, 1 to 100; 0 looks for none.
        origin: time stamp of the video's first frame when an earlier stream saw it, as in `Opened.origin`.
        start: second at which to begin; frames before are decoded only.
        maximum_seconds: longest video.
        maximum_pixels: largest frame, width times height.
        maximum_memory_bytes: address space of the process.
        maximum_processor_seconds: processor time of the process.
        threads: threads of the codec.
    """

    demuxer: Demuxer = "mov"
    is_seekable: bool = False
    events_size: tuple[int, int] | None = None
    events_rate: int = 8
    sample_interval: float = 0.0
    sample_side: int = 640
    cut_threshold: float = 0.0
    origin: tuple[int, int, int] | None = None
    start: int = 0
    maximum_seconds: float = 14_400.0
    maximum_pixels: int = 9_437_184
    maximum_memory_bytes: int = 2 << 30
    maximum_processor_seconds: int = 3_600
    threads: int = 1

    def to_argument(self) -> str:
        """Return the options as one argument of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_argument(cls, argument: str) -> DecodingOptions:
        """Return the options of a command line's argument."""
        content = json.loads(argument)
        for name in ("events_size", "origin"):
            content[name] = tuple(content[name]) if content[name] else None
        return cls(**content)
