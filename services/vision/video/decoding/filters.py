"""FFmpeg's filter graph of one stream: turn, find changes of scene, sample, scale.

    buffer → [turn] → split → fps → scale → format=rgb24 → events
                            → fps → scale → format=rgb24 → samples
                            → scdet (frames that begin a scene only) → cuts

`fps` with `round=up` sends, for each tick, the frame that is shown at that moment. Scaling comes after it, so that only
frames that a model looks at are scaled.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av.error
from av.filter import Graph

from services.vision.video.decoding.messages import Cut, Frame

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter.context import FilterContext

    from services.vision.video.decoding.options import DecodingOptions

_CHANNELS = 3
# Anti-clockwise quarter turns that the container asks for, and the filters that do them.
_TURNS = {90: ("transpose", "cclock"), -90: ("transpose", "clock"), 270: ("transpose", "clock")}


class FrameFilters:
    """A graph for frames of one size and pixel format.

    Args:
        options: what is asked for.
        frame: the first frame.
        time_base: seconds a unit of the frames' time stamps.
        start: second from which on frames are sent.
    """

    def __init__(self, options: DecodingOptions, frame: VideoFrame, time_base: Fraction, start: float) -> None:
        self.shape = shape_of(frame)
        self._options = options
        self._start = start
        self._graph = Graph()
        self._graph.threads = 1
        self._source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        branches = []
        if options.events_size:
            branches.append(("events", self._sampled(Fraction(options.events_rate), *options.events_size)))
        if options.sample_interval:
            width, height = sample_size(*shown_size(frame), options.sample_side)
            rate = 1 / Fraction(options.sample_interval).limit_denominator(1_000)
            branches.append(("sample", self._sampled(rate, width, height)))
        if options.cut_threshold:
            branches.append(("cut", [("scdet", f"threshold={options.cut_threshold}:sc_pass=1")]))
        turned = self._chain(self._source, _turning(frame.rotation))
        self._sinks: list[tuple[str, FilterContext]] = []
        if branches:
            split = self._graph.add("split", str(len(branches)))
            turned.link_to(split)
            for index, (use, steps) in enumerate(branches):
                first = self._graph.add(*steps[0])
                split.link_to(first, index)
                sink = self._graph.add("buffersink")
                self._chain(first, steps[1:]).link_to(sink)
                self._sinks.append((use, sink))
        else:
            turned.link_to(self._graph.add("nullsink"))
        self._graph.configure()

    def push(self, frame: VideoFrame | None) -> Iterator[Frame | Cut]:
        """Take the next frame, None at the end, and yield what comes out; frames of the same use rise in time."""
        self._source.push(frame)
        for use, sink in self._sinks:
            while True:
                try:
                    made = cast("VideoFrame", sink.pull())
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
                time = float((made.pts or 0) * (made.time_base or 0))
                if time < self._start:
                    continue
                if use == "cut":
                    yield Cut(time, round(float(made.metadata["lavfi.scd.score"]), 3))
                else:
                    yield Frame(
                        "events" if use == "events" else "sample", time, made.width, made.height, packed_pixels(made)
                    )

    def _sampled(self, rate: Fraction, width: int, height: int) -> list[tuple[str, str]]:
        return [
            ("fps", f"fps={rate.numerator}/{rate.denominator}:start_time={self._first_tick(rate)}:round=up"),
            ("scale", f"{width}:{height}:flags=bilinear"),
            ("format", "rgb24"),
        ]

    def _first_tick(self, rate: Fraction) -> float:
        """Return the time of the first tick at or after the start."""
        ticks = -(-Fraction(self._start) * rate // 1)
        return float(ticks / rate)

    def _chain(self, first: FilterContext, steps: list[tuple[str, str]]) -> FilterContext:
        last = first
        for name, arguments in steps:
            following = self._graph.add(name, arguments)
            last.link_to(following)
            last = following
        return last


def shape_of(frame: VideoFrame) -> tuple[int, int, str, int]:
    """Return what a graph is made for: width, height, pixel format, rotation."""
    return frame.width, frame.height, frame.format.name, frame.rotation


def shown_size(frame: VideoFrame) -> tuple[int, int]:
    """Return width and height once the frame is turned upright."""
    is_turned = abs(frame.rotation) in (90, 270)
    return (frame.height, frame.width) if is_turned else (frame.width, frame.height)


def sample_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the size of a sampled frame, in its own proportions."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def packed_pixels(frame: VideoFrame) -> bytes:
    """Return an RGB frame's pixels without the padding of its rows."""
    plane = frame.planes[0]
    row = frame.width * _CHANNELS
    if plane.line_size == row:
        return bytes(plane)[: row * frame.height]
    view = memoryview(plane)
    return b"".join(view[start : start + row] for start in range(0, plane.line_size * frame.height, plane.line_size))


def _turning(rotation: int) -> list[tuple[str, str]]:
    if abs(rotation) == 180:  # half a turn, in degrees
        return [("hflip", ""), ("vflip", "")]
    return [_TURNS[rotation]] if rotation in _TURNS else []
