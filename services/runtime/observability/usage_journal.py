"""The usage file: what a meter counted, as lines of JSON that survive the process and can be read by other programs.

A line is a delta: `{"process", "sequence", "hour", "tenant", "model", "version", "unit", "calls", "amount",
"compute_seconds"}`. Process and sequence name it, so that a reader of several files, or of one file twice, counts it
once. The file is opened anew for every write, so that it may be renamed away at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from services.runtime.logs import get_logger
from services.runtime.observability.usage import HOUR_SECONDS, UsageMeter, UsageRecord
from services.runtime.startup import CannotStart

_logger = get_logger(__name__)


class UsageJournal:
    """Writes the new usage of a meter to a file every few seconds, and at the end.

    Args:
        path: the file; one process at a time owns it.
        meter: whose usage is written; `start` restores what earlier processes left in the file.
        seconds: most usage that a crash may lose, in seconds.
    """

    def __init__(self, path: Path, meter: UsageMeter, seconds: float = 10.0) -> None:
        self._path = path
        self._meter = meter
        self._seconds = seconds
        self._sequence = 0
        self._unwritten: list[str] = []
        self._failing = False
        self._writing = asyncio.Lock()
        self._lock: IO[str] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the file, restore the meter from it, and begin to write.

        Raises:
            CannotStart: the file cannot be read or written, or another process has it.
        """
        try:
            await asyncio.to_thread(self._open)
        except OSError as error:
            raise CannotStart(f"usage_file {self._path}: {error.strerror or error}") from error
        self._task = asyncio.create_task(self._write_regularly())

    async def stop(self) -> None:
        """Write what is left, and give the file back."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self.write()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def write(self) -> None:
        """Write what is new; what cannot be written is kept for the next time, and the meter goes on."""
        async with self._writing:
            if not self._unwritten:
                self._unwritten = [self._line(record) for record in self._meter.take_new()]
            if not self._unwritten:
                return
            try:
                await asyncio.to_thread(self._append, "".join(self._unwritten).encode())
            except OSError as error:
                if not self._failing:
                    _logger.error(
                        "usage cannot be written; it is kept in memory", path=str(self._path), error=str(error)
                    )
                self._failing = True
                return
            if self._failing:
                _logger.info("usage is written again", path=str(self._path))
            self._failing = False
            self._unwritten = []

    async def _write_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            # A write that began is finished: half a line would be lost.
            await asyncio.shield(asyncio.ensure_future(self.write()))

    def _line(self, record: UsageRecord) -> str:
        self._sequence += 1
        values = {"process": self._meter.process, "sequence": self._sequence, **as_json(record)}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._path.with_name(self._path.name + ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise CannotStart(f"usage_file {self._path}: another process writes it; each needs its own") from error
        self._lock = lock
        with self._path.open("a+", encoding="utf-8", errors="replace") as file:
            file.seek(0)
            self._meter.restore(read_usage(file, self._skipped))

    def _skipped(self, line: str) -> None:
        _logger.warning("line of the usage file cannot be read", path=str(self._path), length=len(line))

    def _append(self, content: bytes) -> None:
        with self._path.open("ab+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # a process died while it wrote
                    content = b"\n" + content
            try:
                written = file.write(content)
                if written != len(content):
                    raise OSError(f"only {written} of {len(content)} bytes could be written")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


def read_usage(lines: Iterable[str], skipped: Callable[[str], object] = bool) -> Iterator[UsageRecord]:
    """Return the records of usage files, each once.

    Args:
        lines: of one file or several, in any order.
        skipped: hears of each line that is torn or foreign.
    """
    seen: dict[str, _Seen] = {}
    for line in lines:
        try:
            values: dict[str, Any] = json.loads(line)
            process, sequence = str(values["process"]), int(values["sequence"])
            record = from_json(values)
        except (ValueError, KeyError, TypeError):
            if line.strip():
                skipped(line)
            continue
        if seen.setdefault(process, _Seen()).is_new(sequence):
            yield record


def as_json(record: UsageRecord) -> dict[str, str | int | float]:
    """Return a record as JSON values."""
    hour = datetime.fromtimestamp(record.hour, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "hour": hour,
        "tenant": record.tenant,
        "model": record.model,
        "version": record.version,
        "unit": record.unit,
        "calls": record.calls,
        "amount": record.amount,
        "compute_seconds": round(record.compute_seconds, 6),
    }


def from_json(values: dict[str, Any]) -> UsageRecord:
    """Return the record that `as_json` made these values from.

    Raises:
        ValueError, KeyError, TypeError: they are not such values.
    """
    hour = datetime.fromisoformat(values["hour"])
    return UsageRecord(
        hour=int(hour.timestamp()) // HOUR_SECONDS * HOUR_SECONDS,
        tenant=str(values["tenant"]),
        model=str(values["model"]),
        version=str(values["version"]),
        unit=str(values["unit"]),
        calls=int(values["calls"]),
        amount=int(values["amount"]),
        compute_seconds=float(values["compute_seconds"]),
    )


class _Seen:
    """The sequence numbers met so far; constant size while they come in order."""

    def __init__(self) -> None:
        self._up_to = 0
        self._beyond: set[int] = set()

    def is_new(self, sequence: int) -> bool:
        if sequence <= self._up_to or sequence in self._beyond:
            return False
        self._beyond.add(sequence)
        while self._up_to + 1 in self._beyond:
            self._up_to += 1
            self._beyond.remove(self._up_to)
        return True
