from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.cli.directory_lock import DirectoryInUse, DirectoryLock


def test_a_directory_has_one_mesh_at_a_time(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path / "data"), DirectoryLock(tmp_path / "data")
    first.acquire()
    with pytest.raises(DirectoryInUse, match=f"in use by process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()
