"""The load generator, one for every server: `python -m tests.load.benchmark.generator FOLDER`, a process of its own.

Reads one order as JSON from standard input, sends serialised requests over grpc.aio on uvloop, and writes `begin`,
`end`, then the name of a file below the folder that holds the result as JSON, each on its own line of standard output.
Messages are bytes on both sides: no time goes into protobuf.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvloop

_CHANNEL_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # each channel is a connection of its own
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),  # a refusal is an answer here
]


@dataclass(frozen=True)
class Order:
    """What to send.

    Attributes:
        address: `host:port` of the server.
        calls: full RPC name, file of the serialised request, and weight of each kind of call.
        callers: calls in flight of the closed loop.
        connections: connections they are spread over.
        warmup_seconds: sent before anything is measured.
        seconds: length of the measurement; with `count`, until that many calls are done.
        rate: calls a second of an open loop with Poisson arrivals; None for the closed loop.
        deadline_seconds: of each call.
        count: calls of a closed loop without warm-up; None to go by time.
    """

    address: str
    calls: list[tuple[str, str, float]]
    callers: int = 32
    connections: int = 4
    warmup_seconds: float = 1.0
    seconds: float = 3.0
    rate: float | None = None
    deadline_seconds: float = 30.0
    count: int | None = None
    seed: int = 0


@dataclass
class Outcome:
    """What came back within the measurement; times in seconds.

    Attributes:
        answered: latency of each call that was answered, from the time it was meant to be sent.
        refused: the same of each call that was refused or failed, by status code.
        late_sends: how much later than meant the open loop sent each call.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    answered: list[float] = field(default_factory=list)
    refused: dict[str, list[float]] = field(default_factory=dict)
    late_sends: list[float] = field(default_factory=list)
    sample_errors: dict[str, str] = field(default_factory=dict)

    def add(self, code: str, seconds: float, details: str = "") -> None:
        """Record one call."""
        if code == "OK":
            self.answered.append(seconds)
        else:
            self.refused.setdefault(code, []).append(seconds)
            self.sample_errors.setdefault(code, details[:300])


class _Callers:
    """The connections and calls of one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._channels = [
            grpc.aio.insecure_channel(order.address, options=_CHANNEL_OPTIONS) for _ in range(order.connections)
        ]
        self._payloads = [Path(file).read_bytes() for _, file, _ in order.calls]
        self._stubs: list[list[Any]] = [
            [channel.unary_unary(method) for method, _, _ in order.calls] for channel in self._channels
        ]
        sequence = random.Random(order.seed).choices(
            range(len(order.calls)), [weight for _, _, weight in order.calls], k=4096
        )
        self._sequence = sequence
        self._next = 0
        self.measuring = False
        self.outcome = Outcome()

    async def connect(self) -> None:
        """Open every connection."""
        await asyncio.gather(*(asyncio.wait_for(channel.channel_ready(), 20) for channel in self._channels))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(channel.close(None) for channel in self._channels))

    async def call(self, meant: float | None = None) -> None:
        """Send the next request and record what came back."""
        number = self._next
        self._next += 1
        kind = self._sequence[number & 4095]
        send = self._stubs[number % len(self._stubs)][kind]
        start = meant if meant is not None else time.perf_counter()
        try:
            await send(self._payloads[kind], timeout=self._order.deadline_seconds)
        except grpc.aio.AioRpcError as error:
            if self.measuring or meant is not None:
                self.outcome.add(error.code().name, time.perf_counter() - start, error.details() or "")
        else:
            if self.measuring or meant is not None:
                self.outcome.answered.append(time.perf_counter() - start)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _closed_loop(callers: _Callers, order: Order) -> None:
    end = time.perf_counter() + order.warmup_seconds
    left = order.count if order.count is not None else sys.maxsize

    async def caller() -> None:
        nonlocal left
        while time.perf_counter() < end and left > 0:
            left -= 1
            await callers.call()

    if order.count is None:
        await asyncio.gather(*(caller() for _ in range(order.callers)))
    callers.measuring = True
    start, used = _say("begin")
    end = start + order.seconds if order.count is None else float("inf")
    await asyncio.gather(*(caller() for _ in range(order.callers)))
    _finish(callers.outcome, start, used)


async def _open_loop(callers: _Callers, order: Order) -> None:
    assert order.rate is not None
    arrivals = random.Random(order.seed)
    tasks: set[asyncio.Task[None]] = set()
    start, used = _say("begin")
    meant = start
    while True:
        meant += arrivals.expovariate(order.rate)
        if meant > start + order.seconds:
            break
        wait = meant - time.perf_counter()
        # Yields in every case: a generator that is late must still take in the answers.
        await asyncio.sleep(max(0.0, wait))
        callers.outcome.late_sends.append(max(0.0, time.perf_counter() - meant))
        task = asyncio.create_task(callers.call(meant))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    _finish(callers.outcome, start, used)
    await asyncio.gather(*tasks)


def _say(word: str) -> tuple[float, float]:
    print(word, flush=True)
    return time.perf_counter(), _processor_seconds()


def _finish(outcome: Outcome, start: float, used: float) -> None:
    now, used_now = _say("end")
    outcome.seconds = now - start
    outcome.processor_seconds = used_now - used


async def generate(order: Order) -> Outcome:
    """Carry out one order."""
    callers = _Callers(order)
    try:
        await callers.connect()
        await (_closed_loop(callers, order) if order.rate is None else _open_loop(callers, order))
    finally:
        await callers.close()
    return callers.outcome


def main() -> None:
    """Read the order, carry it out, write the result."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    order["calls"] = [(method, file, weight) for method, file, weight in order["calls"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(generate(Order(**order)))
    # A file, because the libraries at work make the pipe non-blocking, and a long line would be cut where it is full.
    result = Path(sys.argv[1]) / "outcome.json"
    result.write_text(json.dumps(asdict(outcome)))
    print(result, flush=True)


if __name__ == "__main__":
    main()
