"""Wakes an event loop at an exact time.

Event loops count in milliseconds, which is coarse when a call takes a tenth of one. Linux has timers that are files;
where there are none, the loop's own clock does, and the report's lag shows what that costs.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1
_BILLION = 1_000_000_000


class _TimerSpec(ctypes.Structure):
    """`struct itimerspec`: interval, then time of expiry."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class Timer:
    """Calls back once for each `arm`.

    Args:
        loop: the running event loop.
        fire: called at the time that `arm` asked for, or shortly after.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fire: Callable[[], None]) -> None:
        self._loop = loop
        self._fire = fire
        self._handle: asyncio.TimerHandle | None = None
        self._spec = _TimerSpec()
        self._file = -1
        if sys.platform == "linux":
            self._system = ctypes.CDLL(None, use_errno=True)
            self._file = self._system.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._file >= 0:
            loop.add_reader(self._file, self._expired)

    def arm(self, at: int) -> None:
        """Fire at `at` (CLOCK_MONOTONIC, nanoseconds); at once when that is over."""
        if self._file < 0:
            self._handle = self._loop.call_at(self._loop.time() + (at - time.monotonic_ns()) / 1e9, self._fire)
            return
        self._spec.at_s, self._spec.at_ns = divmod(max(at, 1), _BILLION)  # zero would disarm it
        self._system.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(self._spec), None)

    def close(self) -> None:
        """Never fire again."""
        if self._handle is not None:
            self._handle.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _expired(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:  # armed again in the meantime
            return
        self._fire()
