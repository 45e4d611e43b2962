"""The generator processes as the command sees them: start them, give them a segment, collect what they say."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import marquee
import marquee_client
import services
from services.cli.failures import EXIT_NO_MESH, CommandFailed
from services.cli.load.plan import OK, Arrivals, Calls, Finished, Plan, Prepare, Ready, Segment, Stop
from services.cli.load.recording import Outcome, Recording
from services.cli.load.wire import pack, receive

_HEAD_START_SECONDS = 0.05
_START_PATIENCE_SECONDS = 30.0
_MOST_INTERVALS = 120
_SHORTEST_INTERVAL_SECONDS = 0.25


@dataclass(frozen=True)
class Load:
    """What to put on the mesh; the whole of it, over all processes.

    Attributes:
        rate: calls a second in the open loop; 0 means closed loop.
        callers: callers of the closed loop.
        arrivals: how the calls of the open loop follow each other.
        max_in_flight: calls that may be unanswered at once in the open loop.
        seconds: measured time.
        warm_up_seconds: time before it that does not count.
        seed: of arrivals and choices.
    """

    rate: float = 0.0
    callers: int = 0
    arrivals: Arrivals = "poisson"
    max_in_flight: int = 1000
    seconds: float = 30.0
    warm_up_seconds: float = 2.0
    seed: int = 1

    @property
    def is_open(self) -> bool:
        """The load keeps to its times, whatever the server does."""
        return self.rate > 0


@dataclass(frozen=True)
class Share:
    """What one generator process took: measured seconds, and processor seconds in them."""

    seconds: float
    cpu_seconds: float

    @property
    def of_a_core(self) -> float:
        """Share of one processor core that was in use."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0


@dataclass
class Result:
    """What a run measured.

    Attributes:
        load: what was asked for.
        seconds: measured time; shorter than asked after Ctrl-C.
        recording: of all processes together.
        generators: one for each process.
        command_cpu_seconds: processor time of the command itself meanwhile.
        interrupted: Ctrl-C ended it.
        abandoned: calls in flight that were given up then; they count nowhere.
    """

    load: Load
    seconds: float
    recording: Recording
    generators: list[Share]
    command_cpu_seconds: float = 0.0
    interrupted: bool = False
    abandoned: int = 0
    started: float = field(default_factory=time.time)

    @property
    def offered_rate(self) -> float:
        """Calls that were due, a second."""
        return self.recording.total.offered / self.seconds if self.seconds else 0.0

    @property
    def goodput(self) -> float:
        """Good answers that came in the measured time, a second."""
        return self.recording.goodput(self.seconds)


@dataclass
class Progress:
    """How a run goes: seconds since its start (warm-up included), and calls in the last quarter of a second or so."""

    elapsed: float
    ended: int = 0
    good: int = 0
    in_flight: int = 0


Watch = Callable[[Progress], None]


class Crew:
    """The generator processes. They end with the block, and with this process, however that ends.

    Args:
        plan: what to send.
        processes: how many.
        seed: of the choices among steps and requests.

    Raises:
        CommandFailed: on entering, when a service cannot be reached.
    """

    def __init__(self, plan: Plan, processes: int, seed: int = 1) -> None:
        self._plan = plan
        self._members = [_Member(index) for index in range(processes)]
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._seed = seed

    def __enter__(self) -> Self:
        try:
            for member in self._members:
                member.start(self._heard)
                member.say(Prepare(self._plan, self._seed * 1000 + member.index))
            for _ in self._members:
                _, message = self._hear(_START_PATIENCE_SECONDS)
                if isinstance(message, Ready) and message.problem:
                    raise CommandFailed(message.problem, "`marquee up` starts a mesh.", EXIT_NO_MESH)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        for member in self._members:
            member.close()

    def run(self, load: Load, watch: Watch = lambda progress: None) -> Result:
        """Put a load on the mesh and return what happened. The first Ctrl-C ends it early; the result says so.

        Args:
            load: the load.
            watch: called some times a second.
        """
        interval = max(_SHORTEST_INTERVAL_SECONDS, load.seconds / _MOST_INTERVALS)
        interval = load.seconds / max(1, round(load.seconds / interval))
        recordings = [Recording(len(self._plan.steps), interval) for _ in self._members]
        start = time.monotonic_ns() + int(_HEAD_START_SECONDS * 1e9)
        cpu, began = _cpu_seconds(), time.time()
        for member, segment in zip(self._members, self._segments(load, start), strict=True):
            member.say(segment)
        finished: list[Finished] = []
        interrupted = False
        seen = Progress(0.0)
        while len(finished) < len(self._members):
            try:
                try:
                    index, message = self._hear(0.2)
                except TimeoutError:
                    message = None
                if isinstance(message, Calls):
                    member = self._members[index]
                    member.outcomes += message.outcomes
                    recordings[index].add(member.outcomes, message)
                    member.in_flight = message.in_flight
                    numbers = member.outcome_counts(message)
                    seen.ended += sum(numbers.values())
                    seen.good += numbers.get(OK, 0)
                elif isinstance(message, Finished):
                    finished.append(message)
                elapsed = (time.monotonic_ns() - start) / 1e9
                watch(Progress(elapsed, seen.ended, seen.good, sum(one.in_flight for one in self._members)))
                seen = Progress(0.0)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                for member in self._members:
                    member.say(Stop())
        whole = recordings[0]
        for other in recordings[1:]:
            whole.merge(other)
        return Result(
            load,
            max(one.seconds for one in finished),
            whole,
            [Share(one.seconds, one.cpu_seconds) for one in finished],
            _cpu_seconds() - cpu,
            interrupted,
            sum(one.abandoned for one in finished),
            began,
        )

    def _segments(self, load: Load, start: int) -> list[Segment]:
        count = len(self._members)
        return [
            Segment(
                start,
                load.warm_up_seconds,
                load.seconds,
                rate=load.rate / count,
                arrivals=load.arrivals,
                phase_seconds=index / load.rate if load.rate else 0.0,
                callers=_part(load.callers, index, count),
                max_in_flight=max(1, _part(load.max_in_flight, index, count)),
                seed=load.seed * 1000 + index,
            )
            for index in range(count)
        ]

    def _hear(self, seconds: float) -> tuple[int, Any]:
        try:
            index, message = self._heard.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError("a generator process does not answer") from None
        if message is None:
            raise CommandFailed("a generator process ended unexpectedly", "Its messages are above.")
        return index, message


class _Member:
    """One process and the socket to it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.outcomes: list[Outcome] = []
        self.in_flight = 0
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, heard: queue.SimpleQueue[tuple[int, Any]]) -> None:
        """Start the process; what it says goes into `heard`."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "services.cli.load.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for the command alone
            )
        threading.Thread(target=self._listen, args=(self._socket, heard), daemon=True).start()

    def say(self, message: object) -> None:
        """Send a command."""
        assert self._socket is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end is heard elsewhere
            self._socket.sendall(pack(message))

    def outcome_counts(self, calls: Calls) -> dict[str, int]:
        """Return how many of the calls ended with each code."""
        import numpy

        from services.cli.load.plan import COLUMNS

        numbers = numpy.frombuffer(calls.numbers, numpy.int64)[::COLUMNS]
        counts: dict[str, int] = {}
        for number, count in zip(*numpy.unique(numbers, return_counts=True), strict=True):
            code = self.outcomes[int(number)][1]
            counts[code] = counts.get(code, 0) + int(count)
        return counts

    def close(self) -> None:
        """End the process."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _listen(self, connection: socket.socket, heard: queue.SimpleQueue[tuple[int, Any]]) -> None:
        with connection.makefile("rb") as stream, contextlib.suppress(OSError):
            while (message := receive(stream)) is not None:
                heard.put((self.index, message))
        heard.put((self.index, None))


def _part(whole: int, index: int, count: int) -> int:
    return whole // count + (index < whole % count)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    """Return variables with which the processes import what this process imports, wherever it was started."""
    roots = {str(Path(folder).parent) for package in (services, marquee, marquee_client) for folder in package.__path__}
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*sorted(roots), *([inherited] if inherited else [])])}
