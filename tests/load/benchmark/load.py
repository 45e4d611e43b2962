"""Drives the generator's process, and reads the server's account at the moments the generator names."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from services.runtime.sources import REPOSITORY_ROOT
from tests.load.benchmark.generator import Order, Outcome
from tests.load.benchmark.process_tree import Memory, ProcessTree
from tests.load.benchmark.server_process import ServerFailed, environment, python

_PATIENCE_SECONDS = 45.0
_MEMORY_INTERVAL_SECONDS = 1.0


class Load:
    """One order being carried out: what came back, and what it cost the server.

    Attributes:
        outcome: from the generator.
        processor_seconds: of the server's process tree within the measurement.
        peak: largest memory of the tree seen within it.
    """

    def __init__(self, outcome: Outcome, processor_seconds: float, peak: Memory) -> None:
        self.outcome = outcome
        self.processor_seconds = processor_seconds
        self.peak = peak


def write_requests(folder: Path, requests: Sequence[bytes]) -> list[Path]:
    """Write serialised requests to files and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"request-{number}.bin" for number in range(len(requests))]
    for file, request in zip(files, requests, strict=True):
        file.write_bytes(request)
    return files


def offer(order: Order, tree: ProcessTree) -> Load:
    """Carry out an order against a server that runs.

    Raises:
        ServerFailed: nothing came back in time, or the generator could not work.
    """
    with (
        tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as folder,
        tempfile.TemporaryFile() as complaints,
        _generator(complaints, folder) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        process.stdin.flush()
        lines = _Lines(process, complaints.fileno())
        limit = order.seconds if order.count is None else 3_600.0
        patience = order.warmup_seconds + _PATIENCE_SECONDS
        lines.expect("begin", patience)
        before = tree.processor_seconds()
        with _MemoryWatch(tree) as watch:
            lines.expect("end", limit + _PATIENCE_SECONDS)
            after = tree.processor_seconds()
        answer = lines.next(order.deadline_seconds + _PATIENCE_SECONDS)
        outcome = json.loads(Path(answer).read_bytes())
        return Load(Outcome(**outcome), after - before, watch.peak)


def _generator(complaints: IO[bytes], folder: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [python(), "-m", "tests.load.benchmark.generator", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        cwd=REPOSITORY_ROOT,
        env=environment(),
        bufsize=0,
    )


class _Lines:
    """Lines of the generator's output, each awaited for a limited time."""

    def __init__(self, process: subprocess.Popen[bytes], complaints: int) -> None:
        self._process = process
        self._complaints = complaints
        self._rest = b""

    def expect(self, word: str, seconds: float) -> None:
        line = self.next(seconds)
        if line != word:
            self._fail(f"said {line[:100]!r} instead of {word!r}")

    def next(self, seconds: float) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._fail(f"was silent for {seconds:.0f} s")
                read = os.read(self._process.stdout.fileno(), 1 << 20)
                if not read:
                    self._fail("ended")
                self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def _fail(self, what: str) -> None:
        self._process.kill()
        said = os.pread(self._complaints, 1 << 16, 0).decode(errors="replace").strip().splitlines()
        raise ServerFailed(f"the load generator {what}; the server hangs or refuses: {' | '.join(said[-2:])[-500:]}")


class _MemoryWatch:
    """Looks at the memory of a tree once a second, on a thread."""

    def __init__(self, tree: ProcessTree) -> None:
        self.peak = Memory(0, 0)
        self._tree = tree
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(_MEMORY_INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        seen = self._tree.memory()
        self.peak = Memory(max(self.peak.resident, seen.resident), max(self.peak.proportional, seen.proportional))


def repeatedly(work: Callable[[], object], seconds: float) -> tuple[int, float, float]:
    """Run `work` again and again: returns how often, the seconds, and the processor seconds of this process."""
    for _ in range(3):
        work()
    count = 0
    start, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        work()
        count += 1
    return count, time.perf_counter() - start, time.process_time() - used
