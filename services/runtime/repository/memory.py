"""Giving memory back to the system when a model goes.

What a model frees stays with glibc for later allocations unless it is told otherwise: of what a 24 MB sentence encoder
takes, freeing alone gives back a third. `malloc_trim` gives back the rest, but for the end of each thread's heap, which
can be 23 MB: that goes only at the moment of freeing, and only past a threshold that glibc raises to 64 MB in any
process that handles large blocks. So the threshold is low while a model goes. onnxruntime's own options (no arena,
initializers outside of it, no prepacking) do not change what is left.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache
from typing import Any

# Names of <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LOW_BYTES = 1 << 20
# What glibc itself arrives at after it has freed a large block. Setting one of them ends its own choice of both.
_USUAL_TRIM_BYTES = 64 << 20
_USUAL_MMAP_BYTES = 32 << 20


class Releases:
    """Counts what is being released in this process; while there is any, what is freed goes back at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def begin(self) -> None:
        """Expect something to be freed; `end` is to be called as often."""
        with self._lock:
            self._count += 1
            _set_trim_threshold(_LOW_BYTES)

    def end(self) -> None:
        """End what `begin` began."""
        with self._lock:
            self._count -= 1
            if self._count == 0:
                _set_trim_threshold(_USUAL_TRIM_BYTES)


# The C library's settings are the process's, and so is their counter.
releases = Releases()


def give_memory_back() -> None:
    """Let the C library return its free pages. Milliseconds: call it on a thread."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _set_trim_threshold(size: int) -> None:
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _USUAL_MMAP_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, size)


@cache
def _glibc() -> Any:
    """Return the C library of this process; None where it is not glibc."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
