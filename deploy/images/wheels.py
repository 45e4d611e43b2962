"""Fetch the wheels of a lock for the builder, with this machine's own settings of pip.

Those settings (an index behind a firewall, a proxy, certificates) reach neither the builder nor the image. What is
fetched fits the image's Python and processor, not this machine's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import Marker

WHEELS = Path(__file__).resolve().parent / "wheels"
PYTHON = "3.11"
# Debian 12 has glibc 2.36; wheels made for an older one run there.
OLDEST_GLIBC, GLIBC = 5, 36


class FetchFailed(RuntimeError):
    """pip could not fetch a package. The text is the end of what it said."""


def requirements(lock: str, machine: str) -> Iterator[str]:
    """Yield the entries of a lock that apply to Linux on this processor, without their conditions.

    pip would judge the conditions by the Python and the system that it runs on itself.
    """
    environment = {
        "python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "implementation_name": "cpython",
        "platform_python_implementation": "CPython", "os_name": "posix", "sys_platform": "linux",
        "platform_system": "Linux", "platform_machine": machine,
    }  # fmt: skip
    for entry in re.findall(r"^[a-zA-Z0-9].*(?:\n[ \t]+--hash=.*)*", lock, re.MULTILINE):
        first, *hashes = entry.splitlines()
        pin, _, condition = first.rstrip(" \\").partition(";")
        if not condition or Marker(condition.strip()).evaluate(environment):
            yield " ".join([pin.strip(), *(line.strip().rstrip(" \\") for line in hashes)])


def fetched(machine: str) -> set[str]:
    """Return the pins whose wheels are there already; the builder verifies their checksums."""
    names = (path.stem.lower().split("-") for path in WHEELS.glob("*.whl"))
    return {f"{words[0].replace('_', '-')}=={words[1]}" for words in names if words[-1].endswith(("any", machine))}


def fetch(lock: Path, machine: str) -> None:
    """Fetch every wheel of a lock into the folder that the builder installs from. Those there already are kept.

    Raises:
        FetchFailed: a package cannot be had.
    """
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, OLDEST_GLIBC - 1, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    there = fetched(machine)
    lines = [line for line in requirements(lock.read_text(), machine) if line.partition(" ")[0] not in there]
    if not lines:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(lines) + "\n")
        wanted.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp"]
        command += ["--abi=cp311", "--abi=abi3", "--abi=none", *(f"--platform={name}" for name in platforms)]
        command += [f"--dest={WHEELS}", f"--find-links={WHEELS}", f"--requirement={wanted.name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchFailed(f"cannot fetch the packages of {lock.name}: {done.stderr.strip()[-1500:]}")
