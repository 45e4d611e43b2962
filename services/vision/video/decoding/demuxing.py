"""From the bytes of a video to messages: open, decode frame by frame, filter. Damage costs the frames it hits."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error
from av.codec.context import ThreadType

from services.vision.video.decoding.filters import FrameFilters, shape_of, shown_size
from services.vision.video.decoding.limits import memory_left
from services.vision.video.decoding.messages import Clock, Cut, Ended, Frame, Message, Opened, Trouble

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from services.vision.video.decoding.options import DecodingOptions
    from services.vision.video.decoding.reading import ByteSource

CODECS = frozenset({"h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mpeg2video"})
"""Codecs that are ever opened; FFmpeg has hundreds, most of them old and little looked after."""
_BUFFER_BYTES = 1 << 16
# How much is read at most to find out what the streams are, before the first frame.
_PROBE = {"probesize": "1000000", "analyzeduration": "1000000"}
# Errors of the container without a frame between them, after which nothing more is expected of it.
_MOST_ERRORS = 32
# Bytes of a pixel in a picture of 10 bits, with what the codec keeps beside it.
_LARGEST_PIXEL = 4
# Declared lengths and rates above these are nonsense.
_LONGEST_DECLARED = 1e7
_FASTEST_DECLARED = 1000


class Decoding:
    """One video.

    Args:
        source: its bytes.
        options: what is asked for.
    """

    def __init__(self, source: ByteSource, options: DecodingOptions) -> None:
        self._source = source
        self._options = options
        self._origin: Fraction | None = None
        self._filters: FrameFilters | None = None
        self._decoded = 0
        self._time = float(options.start)
        self._last: Fraction | None = None
        self._end = 0.0
        self._is_damaged = False
        self._is_backward = False

    def messages(self) -> Iterator[Message]:
        """Yield what is found, in the order of the times of each kind; `Ended` is the last."""
        try:
            yield from self._run()
        except _Refused as refused:
            yield self._ended(refused.reason, str(refused), refused.is_whole)
        except (MemoryError, av.error.MemoryError):
            most = self._options.maximum_memory_bytes >> 20
            yield self._ended("VIDEO_TOO_LARGE", f"the video needs more memory than a decoder may take, {most:,} MiB")

    def _run(self) -> Iterator[Message]:
        try:
            container = av.open(
                self._source,
                "r",
                format=self._options.demuxer,
                container_options=dict(_PROBE),
                buffer_size=_BUFFER_BYTES,
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise _Refused("VIDEO_CORRUPT", "the video's header cannot be read", is_whole=True) from error
        with container:
            stream = self._choose(container)
            for packet in self._packets(container, stream):
                if packet is None:
                    yield from self._damage("the container is damaged")
                    continue
                try:
                    frames = stream.codec_context.decode(packet)
                except av.error.MemoryError:
                    raise
                except av.error.FFmpegError as error:
                    if memory_left() < _LARGEST_PIXEL * stream.codec_context.width * stream.codec_context.height:
                        raise MemoryError from error  # codecs say the same of it as of damage
                    yield from self._damage("the picture data is damaged", self._time_of(packet, stream))
                    continue
                if packet.is_corrupt:
                    yield from self._damage("the container is damaged", self._time_of(packet, stream))
                elif frames and not any(frame.is_corrupt for frame in frames):
                    self._is_damaged = False
                for frame in frames:
                    yield from self._take(frame, stream)
            yield from self._flush()
        if not self._decoded:
            raise _Refused("VIDEO_WITHOUT_FRAMES", "no frame of the video can be decoded", is_whole=True)
        yield self._ended()

    def _choose(self, container: InputContainer) -> VideoStream:
        """Return the video track to decode, its codec opened within bounds."""
        stream = cast("VideoStream | None", container.streams.best("video"))
        if stream is None:
            raise _Refused("VIDEO_WITHOUT_TRACK", "the file holds no video track", is_whole=True)
        codec = stream.codec_context
        # No type says so, but the codec of a track can be unknown.
        name = codec.codec.name if codec is not None else "an unknown one"  # type: ignore[redundant-expr]
        if name not in CODECS:
            raise _Refused(
                "VIDEO_CODEC_UNKNOWN",
                f"the video's codec is {name}; it must be one of {', '.join(sorted(CODECS))}",
                is_whole=True,
            )
        self._check_size(codec.width, codec.height)
        # A stream may say another size than its container; the codec holds to the same bound.
        codec.options = {"max_pixels": str(self._options.maximum_pixels)}
        codec.thread_count = self._options.threads
        codec.thread_type = ThreadType.FRAME if self._options.threads > 1 else ThreadType.NONE
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._options.maximum_pixels:
            raise _Refused(
                "VIDEO_TOO_LARGE",
                f"the video is {width} × {height} pixels; the limit is {self._options.maximum_pixels:,} in all",
                is_whole=True,
            )

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
        """Yield the track's packets, the empty one that flushes the codec last; None for each error."""
        errors = 0
        packets = container.demux(stream)
        while errors < _MOST_ERRORS:
            decoded = self._decoded
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                errors += 1
                yield None
                packets = container.demux(stream)
                continue
            yield packet
            if self._decoded > decoded:
                errors = 0
        # Nothing more comes of the container; the codec may hold frames.
        yield from ()

    def _take(self, frame: VideoFrame, stream: VideoStream) -> Iterator[Message]:
        base = frame.time_base or stream.time_base or Fraction(1, 1_000)
        if self._filters is None:
            yield self._open(frame, stream, base)
        assert self._origin is not None
        self._check_size(frame.width, frame.height)
        stamp = self._stamp(frame, stream, base)
        if self._last is not None and stamp <= self._last:
            if not self._is_backward:
                self._is_backward = True
                yield Trouble(self._time, "VIDEO_CORRUPT", "time stamps go back; frames are left out until they rise")
            return
        self._is_backward = False
        self._last = stamp
        time = float(stamp)
        if time > self._options.maximum_seconds:
            raise _Refused(
                "VIDEO_TOO_LONG",
                f"the video is longer than {self._options.maximum_seconds:g} s; what follows was not analysed",
            )
        self._decoded += 1
        if frame.is_corrupt:
            yield from self._damage("the picture data is damaged", time)
        length = frame.duration * base if frame.duration else self._frame_length(stream)
        self._end = time + float(length)
        frame.pts = int(stamp / base)
        frame.time_base = base
        if self._filters is None or self._filters.shape != shape_of(frame):
            yield from self._flush()
            self._filters = FrameFilters(self._options, frame, base, max(float(self._options.start), time))
        yield from self._filters.push(frame)
        if int(time) > int(self._time) or self._decoded == 1:
            yield Clock(time, self._decoded)
        self._time = max(self._time, time)

    def _open(self, frame: VideoFrame, stream: VideoStream, base: Fraction) -> Opened:
        """Say what the video is, now that the first frame shows how it is turned."""
        stamp = frame.pts if frame.pts is not None else 0
        origin = self._options.origin or (stamp, base.numerator, base.denominator)
        self._origin = Fraction(origin[0] * origin[1], origin[2])
        self._filters = FrameFilters(self._options, frame, base, float(self._options.start))
        width, height = shown_size(frame)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return Opened(
            stream.codec_context.codec.canonical_name,
            width,
            height,
            rate if 0 < rate <= _FASTEST_DECLARED else 0.0,
            self._declared_seconds(stream),
            origin,
        )

    def _declared_seconds(self, stream: VideoStream) -> float:
        if self._options.demuxer == "mov" and not self._options.is_seekable:
            # FFmpeg gives the length of the fragments that it has seen, which nobody declared.
            return 0.0
        length = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        container = cast("InputContainer", stream.container)
        if not length and container.duration:
            length = container.duration / av.time_base
        return length if 0 < length <= _LONGEST_DECLARED else 0.0

    def _stamp(self, frame: VideoFrame, stream: VideoStream, base: Fraction) -> Fraction:
        """Return a frame's time in seconds from the video's first frame, exactly."""
        assert self._origin is not None
        if frame.pts is not None:
            return frame.pts * base - self._origin
        if self._last is None:
            return Fraction(0)
        return self._last + max(base, self._frame_length(stream) // base * base)

    def _frame_length(self, stream: VideoStream) -> Fraction:
        rate = stream.average_rate or stream.guessed_rate
        return 1 / rate if rate and rate <= _FASTEST_DECLARED else Fraction(1, 25)

    def _time_of(self, packet: Packet[VideoStream], stream: VideoStream) -> float:
        if packet.pts is None or self._origin is None or not stream.time_base:
            return self._time
        return max(self._time, float(packet.pts * stream.time_base - self._origin))

    def _damage(self, message: str, time: float | None = None) -> Iterator[Trouble]:
        """Say where damage begins, once until a whole frame follows."""
        if not self._is_damaged:
            self._is_damaged = True
            yield Trouble(self._time if time is None else time, "VIDEO_CORRUPT", f"{message} here; the rest goes on")

    def _flush(self) -> Iterator[Frame | Cut]:
        if self._filters is not None:
            yield from self._filters.push(None)
            self._filters = None

    def _ended(self, reason: str = "", message: str = "", is_refused: bool = False) -> Ended:
        return Ended(max(self._end, self._time), self._decoded, reason, message, is_refused)


class _Refused(Exception):
    """The video is decoded no further; the text is for its sender."""

    def __init__(self, reason: str, message: str, is_whole: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_whole = is_whole
