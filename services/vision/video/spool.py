"""Bounded room on disk for videos that can only be analysed whole."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import grpc

from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError


class SpoolSpace:
    """The disk of all streams of a process.

    Args:
        folder: where the files are; None takes the system's folder for temporary files.
        maximum_bytes: of one video.
        maximum_total_bytes: of all that are open at the same time.
    """

    def __init__(self, folder: Path | None, maximum_bytes: int, maximum_total_bytes: int) -> None:
        self.folder = folder
        self.maximum_bytes = maximum_bytes
        self.maximum_total_bytes = maximum_total_bytes
        self.used_bytes = 0

    def open(self) -> Spool:
        """Return a new, empty file. It has no name: it is gone when it is closed, however the process ends."""
        return Spool(self)


class Spool:
    """One video on disk."""

    def __init__(self, space: SpoolSpace) -> None:
        self._space = space
        self._file = tempfile.TemporaryFile(dir=space.folder, prefix="marquee-video-")  # noqa: SIM115  # closed by `close`
        self._bytes = 0

    async def append(self, chunk: bytes) -> None:
        """Write the next bytes, on a thread.

        Raises:
            InvalidRequest: the video is larger than one may be.
            ServiceError: the disk of all streams together is full.
        """
        space = self._space
        if self._bytes + len(chunk) > space.maximum_bytes:
            description = (
                f"has more than {space.maximum_bytes:,} bytes, the limit for videos that are kept on disk; send it as "
                "fragmented MP4, WebM or MPEG-TS"
            )
            raise InvalidRequest([FieldViolation("chunk", description)], "VIDEO_TOO_LARGE")
        if space.used_bytes + len(chunk) > space.maximum_total_bytes:
            raise _full(space)
        space.used_bytes += len(chunk)
        self._bytes += len(chunk)
        try:
            await asyncio.to_thread(self._file.write, chunk)
        except OSError as error:
            raise _full(space) from error

    async def finish(self) -> int:
        """Return the file's descriptor, at its beginning, for a decoder to read; valid until `close`."""
        try:
            await asyncio.to_thread(self._file.flush)
        except OSError as error:
            raise _full(self._space) from error
        descriptor = self._file.fileno()
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def close(self) -> None:
        """Give the room back."""
        if not self._file.closed:
            self._space.used_bytes -= self._bytes
            self._file.close()


def _full(space: SpoolSpace) -> ServiceError:
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "VIDEO_SPOOL_FULL",
        "the disk for videos that are analysed after their upload is full; try again later, or send fragmented MP4, "
        "WebM or MPEG-TS",
        retry_after_seconds=10.0,
        quota=("bytes of spooled videos", f"at most {space.maximum_total_bytes:,}"),
    )
