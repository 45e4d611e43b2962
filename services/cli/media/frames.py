"""Frames of a clip on this machine, for pictures of its highlights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from PIL.Image import Image

_SEEK_BACK_SECONDS = 0.5


def frames_at(file: Path | None, times: Sequence[float]) -> list[Image | None]:
    """Return the frame shown at each time, in seconds from the clip's first frame.

    None stands for what cannot be had: the clip was no file, the decoder is not installed (extra `video`), or the clip
    has no such frame. Pictures of frames are welcome, never needed.
    """
    if file is None:
        return [None] * len(times)
    try:
        import av
    except ImportError:
        return [None] * len(times)
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                return [None] * len(times)
            return [_frame_at(container, time) for time in times]
    except (av.FFmpegError, OSError, ValueError):
        return [None] * len(times)


def _frame_at(container: InputContainer, time: float) -> Image | None:
    import av

    stream = container.streams.video[0]
    first = float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0
    try:
        container.seek(int((first + max(0.0, time - _SEEK_BACK_SECONDS)) * av.time_base))
        best: VideoFrame | None = None
        for frame in container.decode(stream):
            if best is not None and frame.time - first > time:
                break
            best = frame
        return _picture(best) if best is not None else None
    except (av.FFmpegError, ImportError, TypeError):  # TypeError: a frame without a time
        return None


def _picture(frame: VideoFrame) -> Image:
    from PIL import Image

    return Image.fromarray(frame.to_ndarray(format="rgb24"))
