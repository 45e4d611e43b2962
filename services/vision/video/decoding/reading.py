"""The bytes of a video as FFmpeg reads them: from a pipe while they arrive, or from a file."""

from __future__ import annotations

import os


class ByteSource:
    """A pipe, which can be read once and from the beginning only.

    Args:
        descriptor: file descriptor of the pipe or file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        """Return what has arrived, at most `size` bytes; waits for the first of them; empty at the end."""
        return os.read(self._descriptor, size)


class FileSource(ByteSource):
    """A file, in which FFmpeg may jump to an index at its end."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place and return it."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Return the place that is read next."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)
