"""What it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

from services.runtime.sources import REPOSITORY_ROOT


def describe(command: str, peers: Sequence[str]) -> dict[str, str]:
    """Return hardware, versions, date and command.

    Args:
        command: what was started.
        peers: names of the peers' environments whose versions are named from their locks.
    """
    ours = ("onnxruntime", "grpcio", "uvloop", "numpy", "protobuf")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ours)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} of its threads",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": versions,
        **{peer: _locked(peer) for peer in peers},
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    vector = [word for word in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if word in flags]
    return (named or [platform.processor() or platform.machine()])[0] + (f" ({', '.join(vector)})" if vector else "")


def _locked(peer: str) -> str:
    wanted = ("nvidia-pytriton", "mlserver", "onnxruntime", "grpcio", "numpy")
    lock = REPOSITORY_ROOT / "deploy" / "locks" / f"{peer}.txt"
    lines = [line.split()[0] for line in lock.read_text().splitlines() if "==" in line] if lock.exists() else []
    return ", ".join(line.replace("==", " ") for line in lines if line.partition("==")[0] in wanted)
