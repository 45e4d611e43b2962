"""Services as real processes: `python -m services.text.main` with its own environment, watched through its log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
_IMPORT_ROOTS = [REPOSITORY, REPOSITORY / "protos" / "python", REPOSITORY / "services" / "client"]
_PATIENCE_SECONDS = 60


class ServiceProcess:
    """A running service.

    Its log is read all the time: a process whose pipe is full stands still in its next log line.

    Attributes:
        lines: what it wrote to stderr so far; log lines are JSON.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self._read_to = 0
        self._more = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def event(self, name: str) -> dict[str, Any]:
        """Read the log up to the next event of that name and return it."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                ended = self._reader.done()
                while self._read_to < len(self.lines):
                    line = self.lines[self._read_to]
                    self._read_to += 1
                    if line.startswith("{") and json.loads(line)["event"] == name:
                        found: dict[str, Any] = json.loads(line)
                        return found
                if ended:
                    raise AssertionError(f"the process ended before {name!r}:\n" + "\n".join(self.lines))
                self._more.clear()
                await self._more.wait()

    async def exit_code(self) -> int:
        """Wait for the end of the process and return its exit status; the rest of its log is in `lines`."""
        await asyncio.wait_for(self._reader, _PATIENCE_SECONDS)
        return await asyncio.wait_for(self._process.wait(), _PATIENCE_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def end(self) -> None:
        """Kill the process if it still runs, and take in the end of its log."""
        if self._process.returncode is None:
            self._process.kill()
        await self._reader
        await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        try:
            while line := await self._process.stderr.readline():
                self.lines.append(line.decode().rstrip())
                self._more.set()
        finally:
            self._more.set()


@asynccontextmanager
async def service_process(service: str, **options: object) -> AsyncIterator[ServiceProcess]:
    """Run a service for the length of a block.

    Args:
        service: folder of the service, for example "text".
        options: settings by their field names, for example `port=0`.
    """
    prefix = f"MARQUEE_{service.upper()}_"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
    settings = {"port": 0, "log_format": "json", "engines": 1, "drain_seconds": 30, **options}
    environment |= {f"{prefix}{name.upper()}": str(value) for name, value in settings.items()}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, _IMPORT_ROOTS))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}.main",
        env=environment,
        cwd=REPOSITORY,
        stderr=asyncio.subprocess.PIPE,
    )
    running = ServiceProcess(process)
    try:
        yield running
    finally:
        await running.end()
