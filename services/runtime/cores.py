"""How many processor cores this process may use: those it may run on, and no more than its container's limit."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def available_cores(groups: Path = _GROUPS) -> int:
    """Return the number of cores, at least 1. A limit such as 1.5 counts as 1: the event loop needs some time too.

    Args:
        groups: where the control groups are mounted; containers see their own there.
    """
    cores = len(os.sched_getaffinity(0))
    limit = _limit(groups)
    return cores if limit is None else max(1, min(cores, int(limit)))


def _limit(groups: Path) -> float | None:
    """Return the limit in cores; None when there is none."""
    try:
        quota, period = (groups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota, period = "max", "0"
        for folder in (groups / "cpu", groups):  # the older kind
            try:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
                break
            except OSError:
                continue
    try:
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except ValueError:  # "max"
        return None
