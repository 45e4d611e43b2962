"""A wall clock that a drill can set while the process runs."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_SHIM = Path(__file__).with_name("shifted_clock")


class ShiftedClock:
    """Sets the wall clock of Python processes that were started with its variables: see
    `shifted_clock/sitecustomize.py`.

    Args:
        file: holds the offset; created.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_bytes(struct.pack("<q", 0))

    def variables(self, python_path: str) -> dict[str, str]:
        """Return the environment variables of such a process.

        Args:
            python_path: its PYTHONPATH otherwise.
        """
        return {"MARQUEE_DRILL_CLOCK": str(self._file), "PYTHONPATH": f"{_SHIM}{os.pathsep}{python_path}"}

    def jump(self, seconds: int) -> None:
        """Set the clock to the true time plus `seconds`, at once."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("<q", seconds * 1_000_000_000))
