"""promtool, which `make test` installs from the system's packages where it may."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    _PROMTOOL is None, reason="promtool is not installed; on Debian and Ubuntu: apt-get install prometheus"
)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end, and return what it printed."""
    command = [_PROMTOOL or "promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
