"""A video of single frames: decoded here, sampled like a decoder's, its scene cuts found by the same formula."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from fractions import Fraction

import numpy
import numpy.typing
from PIL import Image

from marquee.vision.v1 import video_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.validation import Violations
from services.vision.pipelines.image_decoding import ImageLimits, ImageRefused
from services.vision.pipelines.picture import decode_picture
from services.vision.settings import VisionSettings
from services.vision.video.decoding.messages import Clock, Cut, Ended, Frame, Message, Opened
from services.vision.video.decoding.options import DecodingOptions
from services.vision.video.upload import Upload

Pixels = numpy.typing.NDArray[numpy.uint8]
_NANOSECONDS = 1_000_000_000
_CHANNELS = 3
_CUT_SIDE = 320


class FrameVideo:
    """Frames as they arrive.

    Args:
        upload: the frames.
        options: what is asked for, as of a decoder.
        settings: limits.
    """

    container = "frames"
    spooled_because = ""

    def __init__(self, upload: Upload, options: DecodingOptions, settings: VisionSettings) -> None:
        self._upload = upload
        self._options = options
        self._image_limits = ImageLimits(settings.maximum_image_bytes, settings.maximum_image_pixels)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """See `VideoSource`."""
        options = self._options
        sampler: FrameSampler | None = None
        last, decoded = -1.0, 0
        async for frame in self._upload.frames():
            if not frame.time_seconds > last:
                raise _refused("time_seconds", "must rise from frame to frame", "FRAMES_OUT_OF_ORDER")
            _check(frame)
            last = frame.time_seconds
            # A thread: decoding a picture takes milliseconds, which other calls would wait for.
            pixels = await asyncio.to_thread(self._read, frame)
            stamp = round(frame.time_seconds * _NANOSECONDS)
            if sampler is None:
                origin = options.origin or (stamp, 1, _NANOSECONDS)
                sampler = FrameSampler(options, Fraction(origin[0] * origin[1], origin[2]))
                height, width = pixels.shape[:2]
                yield Opened("", width, height, 0.0, 0.0, origin)
            time = Fraction(stamp, _NANOSECONDS) - sampler.origin
            if time > options.maximum_seconds:
                advice = f"the video is longer than {options.maximum_seconds:g} s; what follows was not analysed"
                yield Ended(sampler.end, decoded, "VIDEO_TOO_LONG", advice)
                return
            decoded += 1
            for message in sampler.take(time, pixels):
                yield message
            yield Clock(float(time), decoded)
        if sampler is None:
            yield Ended(0.0, 0, "VIDEO_EMPTY", "the video holds no frame", is_refused=True)
            return
        for message in sampler.finish():
            yield message
        yield Ended(sampler.end, decoded)

    def _read(self, frame: pb.VideoFrame) -> Pixels:
        if frame.width:
            shape = (frame.height, frame.width, _CHANNELS)
            return numpy.frombuffer(frame.content, numpy.uint8).reshape(shape)
        try:
            return decode_picture(frame.content, self._image_limits).pixels
        except ImageRefused as error:
            raise _refused("content", error.description, error.reason) from error


class FrameSampler:
    """Sends, for each tick, the frame that is shown at that moment, as FFmpeg's `fps` filter with `round=up` does.

    Args:
        options: what is asked for.
        origin: time of the video's first frame, in seconds.

    Attributes:
        end: end of the video so far: the last frame is shown as long as the one before it was.
    """

    def __init__(self, options: DecodingOptions, origin: Fraction) -> None:
        self._options = options
        self.origin = origin
        self._rates: dict[str, Fraction] = {}
        if options.events_size:
            self._rates["events"] = Fraction(options.events_rate)
        if options.sample_interval:
            self._rates["sample"] = 1 / Fraction(options.sample_interval).limit_denominator(1_000)
        self._ticks = {use: -(-Fraction(options.start) * rate // 1) for use, rate in self._rates.items()}
        self._cuts = CutFinder(options.cut_threshold) if options.cut_threshold else None
        self._last: tuple[Fraction, Pixels] | None = None
        self.end = 0.0

    def take(self, time: Fraction, pixels: Pixels) -> Iterator[Message]:
        """Take the next frame; yields what was shown before it, then the change of scene that it begins."""
        if self._last is not None:
            yield from self._send_before(time)
            # To the millisecond: callers' times are rounded, and a second must not end a hair's breadth too late.
            self.end = round(float(time + (time - self._last[0])), 3)
        else:
            self.end = float(time + Fraction(1, 25))
        self._last = (time, pixels)
        if self._cuts is not None:
            score = self._cuts.score(pixels)
            if score >= self._options.cut_threshold and time >= self._options.start:
                yield Cut(float(time), round(score, 3))

    def finish(self) -> Iterator[Message]:
        """Yield what the last frame still shows."""
        yield from self._send_before(Fraction(self.end).limit_denominator(1_000))

    def _send_before(self, time: Fraction) -> Iterator[Frame]:
        assert self._last is not None
        for use, rate in self._rates.items():
            pixels = None
            while (moment := self._ticks[use] / rate) < time:
                self._ticks[use] += 1
                if pixels is None:
                    pixels = self._scaled(use, self._last[1])
                height, width = pixels.shape[:2]
                yield Frame("events" if use == "events" else "sample", float(moment), width, height, pixels.tobytes())

    def _scaled(self, use: str, pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        if use == "events" and self._options.events_size:
            size = self._options.events_size
        else:
            scale = min(1.0, self._options.sample_side / max(width, height))
            size = max(1, round(width * scale)), max(1, round(height * scale))
        if size == (width, height):
            return pixels
        return numpy.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


class CutFinder:
    """The score of FFmpeg's scdet filter: how much brightness changes, and how much more than just before.

    Args:
        threshold: not used by the score itself.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._before: Pixels | None = None
        self._difference = 0.0

    def score(self, pixels: Pixels) -> float:
        """Return 0 to 100 for the next frame."""
        image = Image.fromarray(pixels).convert("L")
        image.thumbnail((_CUT_SIDE, _CUT_SIDE), Image.Resampling.BILINEAR)
        bright = numpy.asarray(image)
        before, self._before = self._before, bright
        if before is None or before.shape != bright.shape:
            self._difference = 0.0
            return 0.0
        difference = float(numpy.abs(bright.astype(numpy.int16) - before).mean()) * 100 / 256
        score = min(difference, abs(difference - self._difference))
        self._difference = difference
        return min(100.0, max(0.0, score))


def _check(frame: pb.VideoFrame) -> None:
    if not frame.width and not frame.height:
        return
    check = Violations()
    for side in ("width", "height"):
        check.within(f"frame.{side}", getattr(frame, side), 1, 16_384)
    check.raise_if_any()
    expected = frame.width * frame.height * _CHANNELS
    if len(frame.content) != expected:
        description = f"has {len(frame.content):,} bytes; {frame.width} × {frame.height} RGB pixels are {expected:,}"
        raise _refused("content", description, "FRAME_SIZE_WRONG")


def _refused(field: str, description: str, reason: str) -> InvalidRequest:
    return InvalidRequest([FieldViolation(f"frame.{field}", description)], reason)
