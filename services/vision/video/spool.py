"""Bounded room on disk for videos that can only be analysed whole."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tempfile
from pathlib import Path

import grpc

from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError, Unavailable
from services.runtime.logs import get_logger

# No room on the disk, for this user, or in a file.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_logger = get_logger(__name__)


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
        """Return a new, empty file. It has no name: it is gone when it is closed, however the process ends.

        Raises:
            ServiceError: the disk is full or cannot be written to.
        """
        try:
            return Spool(self)
        except OSError as error:
            raise _unwritable(self, error) from error


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
            ServiceError: the disk of all streams together is full, or cannot be written to.
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
            raise _unwritable(space, error) from error

    async def finish(self) -> int:
        """Return the file's descriptor, at its beginning, for a decoder to read; valid until `close`."""
        try:
            await asyncio.to_thread(self._file.flush)
        except OSError as error:
            raise _unwritable(self._space, error) from error
        descriptor = self._file.fileno()
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def close(self) -> None:
        """Give the room back."""
        if not self._file.closed:
            self._space.used_bytes -= self._bytes
            # What a full disk did not take is tried once more, and is of no use to anybody.
            with contextlib.suppress(OSError):
                self._file.close()


def _unwritable(space: SpoolSpace, error: OSError) -> ServiceError:
    _logger.error("a video cannot be kept on disk", folder=str(space.folder or tempfile.gettempdir()), exc_info=error)
    if error.errno in _FULL:
        return _full(space)
    return Unavailable(
        "VIDEO_SPOOL_UNAVAILABLE",
        "this service cannot keep a video on disk now, its log says why; send fragmented MP4, WebM or MPEG-TS, which "
        "need no disk",
        retry_after_seconds=10.0,
    )


def _full(space: SpoolSpace) -> ServiceError:
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "VIDEO_SPOOL_FULL",
        "the disk for videos that are analysed after their upload is full; try again later, or send fragmented MP4, "
        "WebM or MPEG-TS",
        retry_after_seconds=10.0,
        quota=("bytes of spooled videos", f"at most {space.maximum_total_bytes:,}"),
    )
