"""Small disks that can be filled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_FILLER = "filler"
_CHUNK = bytes(64 << 10)


class SmallDisk:
    """A disk in memory. It vanishes with the mount namespace of this process at the latest.

    Args:
        folder: where to mount it; created.
        megabytes: its size.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "marquee-drill", str(folder)], check=True
        )

    def fill(self) -> None:
        """Take all space that is left; called again, also what became free since."""
        with (self.folder / _FILLER).open("ab", buffering=0) as filler:
            size = len(_CHUNK)
            while size:
                try:
                    filler.write(_CHUNK[:size])
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Give the space back."""
        (self.folder / _FILLER).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return how much space is left."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def unmount(self) -> None:
        """Take the disk away."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
