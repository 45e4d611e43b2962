"""The `perf_analyzer` program of the Triton client, with the two shared libraries that its package does not bring."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from services.runtime.sources import DataSettings, SourceUnavailable, fetch_package_file

PROGRAM = Path(sys.executable).parent / "perf_analyzer"
# Linked by the program whether or not there is a GPU.
_CUDA_RUNTIME = (
    "nvidia-cuda-runtime-cu12",
    "12.9.79",
    "nvidia/cuda_runtime/lib/libcudart.so.12",
    "256e6409e4f06f618e1fb53d4844a6b81cdded1013afa8ade40c22f99eb133b7",
)
_BASE64_PACKAGE = "libb64-0d"
_BASE64_LIBRARY = "libb64.so.0d"
_SECONDS = 60


class PerfAnalyzerUnavailable(RuntimeError):
    """The program cannot run here; the message says what to install."""


def perf_analyzer_environment() -> dict[str, str]:
    """Return the environment in which the program runs, fetching what it lacks at most once.

    Raises:
        PerfAnalyzerUnavailable: the program or a library is missing and cannot be fetched.
    """
    if not PROGRAM.exists():
        raise PerfAnalyzerUnavailable("perf_analyzer is missing: install the packages of deploy/locks/test.txt")
    if _starts(dict(os.environ)):
        return dict(os.environ)
    try:
        folders = [fetch_package_file(*_CUDA_RUNTIME).parent, _base64_folder()]
    except SourceUnavailable as error:
        raise PerfAnalyzerUnavailable(f"perf_analyzer needs libcudart.so.12: {error}") from error
    known = os.environ.get("LD_LIBRARY_PATH")
    environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join([*map(str, folders), *([known] if known else [])])}
    if not _starts(environment):
        raise PerfAnalyzerUnavailable(f"{PROGRAM.name} does not start: it needs x86-64 Linux with glibc and OpenSSL 3")
    return environment


def infer_per_second(report: str) -> float:
    """Return the throughput of the report's last line: `Concurrency: 1, throughput: 812.5 infer/sec, …`."""
    found = re.search(r"^Concurrency: \d+, throughput: ([0-9.]+) infer/sec", report, re.MULTILINE)
    assert found, report
    return float(found.group(1))


def _starts(environment: dict[str, str]) -> bool:
    finished = subprocess.run(
        [str(PROGRAM), "--version"], env=environment, capture_output=True, check=False, timeout=_SECONDS
    )
    return finished.returncode == 0


def _base64_folder() -> Path:
    """Return a folder with libb64, unpacked from Debian's package without installing it."""
    root = DataSettings().data_directory / "sources" / _BASE64_PACKAGE
    if not list(root.rglob(_BASE64_LIBRARY)):
        with tempfile.TemporaryDirectory() as scratch:
            try:
                _command(["apt-get", "download", _BASE64_PACKAGE], Path(scratch))
                for archive in Path(scratch).glob("*.deb"):
                    _command(["dpkg", "-x", str(archive), str(root)], Path(scratch))
            except (OSError, subprocess.SubprocessError) as error:
                raise PerfAnalyzerUnavailable(
                    f"perf_analyzer needs {_BASE64_LIBRARY}: install the Debian package {_BASE64_PACKAGE}"
                ) from error
    folders = [path.parent for path in root.rglob(_BASE64_LIBRARY)]
    if not folders:
        raise PerfAnalyzerUnavailable(f"perf_analyzer needs {_BASE64_LIBRARY}: install {_BASE64_PACKAGE}")
    return folders[0]


def _command(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=_SECONDS)
