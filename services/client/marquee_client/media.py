"""What both clients share for pictures and clips: options, and the requests of an upload."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypedDict

from marquee.entertainment.v1 import media_service_pb2 as media_pb

CHUNK_BYTES = 256 << 10
"""Bytes of a clip sent at once; the contract allows 1 MiB."""

PictureLike = bytes | str | PathLike[str]
"""A picture: the file's bytes, or where the file is."""
ClipLike = str | PathLike[str] | BinaryIO | Iterable[bytes]
"""A clip: where the file is, an open binary file or pipe, or its bytes in pieces of any size."""


class MediaWishes(TypedDict, total=False):
    """How much to say about a picture or clip; what is left out has the contract's defaults."""

    label_count: int
    """Labels to return, at most 20; 5 when left out."""
    minimum_object_score: float
    """Least score of an object, 0 to 1; 0.5 when left out."""
    similar_count: int
    """Similar items to return, at most 100; 10 when left out."""
    policy: str
    """Moderation policy; the default one when left out."""


class ClipWishes(MediaWishes, total=False):
    """How a clip is analysed; what is left out has the contract's defaults."""

    sample_interval_seconds: float
    """Seconds between the frames that picture models look at, 0.5 to 60; 1 when left out."""
    checkpoint_interval_seconds: float
    """Seconds between checkpoints, 1 to 600; none when left out."""
    checkpoint: bytes
    """Sealed state of an earlier stream to go on from."""
    highlight_count: int
    """Most highlights to return, at most 50; 5 when left out."""


def picture_bytes(picture: PictureLike) -> bytes:
    """Return a picture's bytes, read from its file where one is named."""
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def clip_start(
    features: Iterable[media_pb.MediaFeature.ValueType], attach: media_pb.MediaAttachment | None, wishes: ClipWishes
) -> media_pb.AnalyzeClipRequest:
    """Return the first message of a clip."""
    options: MediaWishes = {}
    for name in MediaWishes.__annotations__:
        if name in wishes:
            options[name] = wishes[name]  # type: ignore[literal-required]  # names of the very type
    start = media_pb.ClipStart(
        features=features,
        options=media_pb.MediaOptions(**options),
        attach=attach,
        sample_interval_seconds=wishes.get("sample_interval_seconds", 0.0),
        checkpoint_interval_seconds=wishes.get("checkpoint_interval_seconds", 0.0),
        checkpoint=wishes.get("checkpoint", b""),
        highlight_count=wishes.get("highlight_count", 0),
    )
    return media_pb.AnalyzeClipRequest(start=start)


def clip_pieces(clip: ClipLike) -> Generator[bytes]:
    """Yield a clip's bytes in pieces that may be sent, reading no more than one at a time.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(clip, str | PathLike):
        with Path(clip).open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece
    elif hasattr(clip, "read"):
        while piece := clip.read(CHUNK_BYTES):
            yield piece
    else:
        for given in clip:
            for start in range(0, len(given), CHUNK_BYTES):
                yield given[start : start + CHUNK_BYTES]
