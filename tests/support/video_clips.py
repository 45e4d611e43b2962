"""Small videos made on the spot: a scene of one colour and a moving bar a few seconds long, then the next."""

from __future__ import annotations

import functools
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy
import numpy.typing

if TYPE_CHECKING:
    from av.video.stream import VideoStream

Pixels = numpy.typing.NDArray[numpy.uint8]
SCENE_SECONDS = 2
COLOURS = ((200, 40, 30), (30, 190, 60), (40, 60, 210), (220, 210, 200), (20, 20, 20))
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
FAST_START = {"movflags": "faststart"}
RATE = 12


def pictures(seconds: float, rate: int = RATE, width: int = 128, height: int = 96) -> Iterator[Pixels]:
    """Yield uint8[height, width, 3] for each frame."""
    for index in range(round(seconds * rate)):
        picture = numpy.empty((height, width, 3), numpy.uint8)
        picture[:] = COLOURS[int(index / rate / SCENE_SECONDS) % len(COLOURS)]
        place = index * 3 % (width - 8)
        picture[:, place : place + 8] = 255 - picture[:, place : place + 8]
        yield picture


@functools.cache
def clip(
    seconds: float = 6,
    kind: str = "fragmented",
    rate: int = RATE,
    width: int = 128,
    height: int = 96,
    codec: str = "",
    times: Sequence[int] = (),
) -> bytes:
    """Return a video.

    Args:
        seconds: its length.
        kind: "fragmented", "mp4", "faststart", "webm", "matroska" or "mpegts".
        rate: frames a second.
        width: in pixels.
        height: in pixels.
        codec: FFmpeg's name; empty takes H.264, or VP8 for WebM.
        times: time stamp of each frame in 1/1000 s, for a variable frame rate; empty means a constant one.
    """
    container = {"fragmented": "mp4", "faststart": "mp4"}.get(kind, kind)
    options = {"fragmented": FRAGMENTED, "faststart": FAST_START}.get(kind, {})
    # A file: the index is moved to the front by reading it once more.
    with tempfile.NamedTemporaryFile() as file:
        images = pictures(len(times) / rate if times else seconds, rate, width, height)
        _write(file.name, container, options, images, rate, width, height, codec, times)
        return Path(file.name).read_bytes()


def film(images: Sequence[Pixels], rate: int = RATE) -> bytes:
    """Return a fragmented MP4 of pictures uint8[height, width, 3] of one size, with even sides."""
    height, width = images[0].shape[:2]
    with tempfile.NamedTemporaryFile() as file:
        _write(file.name, "mp4", FRAGMENTED, images, rate, width, height)
        return Path(file.name).read_bytes()


def _write(
    path: str,
    container: str,
    options: Mapping[str, str],
    images: Iterable[Pixels],
    rate: int,
    width: int,
    height: int,
    codec: str = "",
    times: Sequence[int] = (),
) -> None:
    with av.open(path, "w", format=container, options=dict(options)) as output:
        name = codec or ("libvpx" if container == "webm" else "libx264")
        stream = cast("VideoStream", output.add_stream(name, rate=rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        options_of: dict[str, dict[str, object]] = {
            "libx264": {"preset": "ultrafast", "g": str(rate), "bf": "0", "threads": "1"},
            "libvpx": {"deadline": "realtime", "cpu-used": "8", "g": str(rate), "threads": "1"},
        }
        stream.options = options_of.get(name, {"g": str(rate)})
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(images):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


@functools.cache
def sound_only() -> bytes:
    """Return a fragmented MP4 without a video track."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options=dict(FRAGMENTED)) as output:
        stream = output.add_stream("aac", rate=8_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 8_000), numpy.float32), format="fltp", layout="mono")
        frame.sample_rate = 8_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return buffer.getvalue()
