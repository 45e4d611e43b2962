"""Drills run in network and mount namespaces of their own: their traffic and their small disks leave nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

_MARK = "MARQUEE_CHAOS_SANDBOX"
_UNSHARE = ("unshare", "--net", "--mount", "--")


def is_inside() -> bool:
    """Tell whether this process has namespaces of its own, so that it may make networks and disks."""
    return os.environ.get(_MARK) == "1"


def enter(arguments: Sequence[str]) -> None:
    """Start `python -m tests.chaos` again in namespaces of its own, where the system allows it; else return.

    Args:
        arguments: those of the command.
    """
    if is_inside():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        return
    if subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode:
        return
    sys.stdout.flush()
    os.execvpe("unshare", [*_UNSHARE, sys.executable, "-m", "tests.chaos", *arguments], {**os.environ, _MARK: "1"})
