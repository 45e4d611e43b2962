"""Puts a service into a network namespace of its own, joined to ours by one cable that a drill can pull out."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

PREFIX = ("unshare", "--net", "--")
HERE, THERE = "192.0.2.1", "192.0.2.2"
"""Addresses of both ends, of the block that RFC 5737 keeps for documentation. They exist in the drill's own network
namespaces only.
"""
_OUR_END, _FAR_END = "marquee-here", "marquee-there"
_PATIENCE_SECONDS = 10.0


class Cable:
    """The connection between this process's network namespace, which must be its own, and that of a service."""

    def __init__(self) -> None:
        _ip("link", "add", _OUR_END, "type", "veth", "peer", "name", _FAR_END)
        _ip("address", "add", f"{HERE}/30", "dev", _OUR_END)
        _ip("link", "set", _OUR_END, "up")

    def plug_into(self, pid: int) -> None:
        """Give the far end to a process that was started with `PREFIX`."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        ours = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{pid}/ns/net").readlink() == ours:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} has no network namespace of its own")
            time.sleep(0.01)
        _ip("link", "set", _FAR_END, "netns", str(pid))
        inside = ("nsenter", "--target", str(pid), "--net", "--")
        for command in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{THERE}/30", "dev", _FAR_END),
            ("link", "set", _FAR_END, "up"),
        ):
            _ip(*command, prefix=inside)

    def pull(self) -> None:
        """Pull the cable out: packets vanish in silence."""
        _ip("link", "set", _OUR_END, "down")

    def plug(self) -> None:
        """Put the cable back."""
        _ip("link", "set", _OUR_END, "up")

    def remove(self) -> None:
        """Take the cable away, when the other end's namespace has not taken it along."""
        subprocess.run(["ip", "link", "delete", _OUR_END], capture_output=True, check=False)


def _ip(*arguments: str, prefix: tuple[str, ...] = ()) -> None:
    finished = subprocess.run([*prefix, "ip", *arguments], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {finished.stderr.strip()}")
