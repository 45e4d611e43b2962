"""Processor time and memory of a process with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Memory:
    """Memory of a tree, in bytes.

    Attributes:
        resident: sum of what each process has in memory; shared pages count once for each process.
        proportional: the same with each shared page divided among its users: what the tree really takes.
    """

    resident: int
    proportional: int


class ProcessTree:
    """A process that leads its own session, its descendants, and whatever else belongs to the session."""

    def __init__(self, pid: int) -> None:
        self._root = pid

    def processes(self) -> list[psutil.Process]:
        """Return all that live."""
        found: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._root)
            found = {one.pid: one for one in (root, *root.children(recursive=True))}
        for pid in psutil.pids():
            with contextlib.suppress(OSError, psutil.NoSuchProcess):
                if pid not in found and os.getsid(pid) == self._root:
                    found[pid] = psutil.Process(pid)
        return list(found.values())

    def processor_seconds(self) -> float:
        """Return user and system time of the tree. What a process that ended had used is in its parent's account, so
        that the difference of two readings includes processes that lived only between them.
        """
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        return total

    def memory(self) -> Memory:
        """Return the memory of the tree."""
        resident = proportional = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                used = process.memory_full_info()
                resident += used.rss
                proportional += used.pss
        return Memory(resident, proportional)

    def end(self, grace_seconds: float = 15.0) -> bool:
        """Ask everything to end, kill what does not, and return whether nothing had to be killed."""
        known = self.processes()
        _signal(psutil.Process(self._root) if psutil.pid_exists(self._root) else None, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while time.monotonic() < deadline and any(_lives(one) for one in known):
            time.sleep(0.05)
        left = [one for one in {*known, *self.processes()} if _lives(one)]
        for process in left:
            _signal(process, signal.SIGKILL)
        return not left


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _signal(process: psutil.Process | None, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        if process is not None:
            process.send_signal(number)


@contextlib.contextmanager
def ending(tree: ProcessTree) -> Iterator[None]:
    """End the tree at the end of the block, however that comes."""
    try:
        yield
    finally:
        tree.end()
