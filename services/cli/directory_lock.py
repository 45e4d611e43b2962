"""Keeps two meshes of this machine from working in the same data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

_FILE = "mesh.lock"


class DirectoryInUse(RuntimeError):
    """Another mesh works in the directory."""


class DirectoryLock:
    """A lock that the kernel gives back when its process ends, however that happens.

    Args:
        directory: folder to lock; created when missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DirectoryInUse: another process has it; the message names that process.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._directory / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise DirectoryInUse(f"{self._directory} is in use by process {owner or 'unknown'}") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
