"""Bounds of the decoder's own process, set before the first byte of a stranger's video is read."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

_OPEN_FILES = 64
# The kernel, when memory runs out, ends a decoder before it ends the service.
_OUT_OF_MEMORY_SCORE = "500"


def limit_process(memory_bytes: int, processor_seconds: int) -> None:
    """Bound memory, processor time and open files of this process, and let it write no file.

    Args:
        memory_bytes: address space, of which the interpreter and FFmpeg take 150 to 250 MB themselves.
        processor_seconds: then the kernel ends the process.
    """
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, processor_seconds),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))
    with contextlib.suppress(OSError):  # not everywhere allowed, and only a hint
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE, encoding="ascii")


def memory_left() -> int:
    """Return how many bytes of address space this process may still take; very many where there is no bound."""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return sys.maxsize
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return most - int(pages) * resource.getpagesize()
