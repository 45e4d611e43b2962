"""The load that a drill runs under: writers that send until they are acknowledged, and callers of `Recommend`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK
from marquee_client import AsyncMarqueeClient, MarqueeError
from tests.chaos.ledger import Ledger, Numbering

_RESEND_SHARE = 0.1
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 0.25


class NeverAcknowledged(RuntimeError):
    """A writer could not get its events stored long after the fault was over."""


@dataclass(frozen=True)
class LoadOptions:
    """How much load there is.

    Attributes:
        writers: tasks that write events.
        batch: events a call.
        batches_per_second: calls that each writer makes, when they succeed; None makes them one after the other.
        events: events that all writers send together; None sends until the load is finished.
        callers: calls of `Recommend` a second, at fixed times, whether or not earlier ones have come back.
        deadline_seconds: deadline of each of them, retries of the client included.
        write_seconds: deadline of each writing call.
    """

    writers: int = 3
    batch: int = 20
    batches_per_second: float | None = 6.0
    events: int | None = None
    callers: float = 25.0
    deadline_seconds: float = 2.0
    write_seconds: float = 3.0


@dataclass
class Tally:
    """What the callers and the writers saw.

    Attributes:
        latencies: seconds of each `Recommend`, from the time it was due, failed ones included.
        recommend_failures: gRPC code → failed calls.
        degraded: answers that were flagged degraded.
        unexplained: answers that were flagged degraded while no step says what was missing.
        missing: step → answers that went without it.
        acknowledged: events that writers were told are stored.
        write_failures: gRPC code → failed calls.
        resent: batches that were sent again, after a failure or though they were acknowledged.
        vanished: events that were acknowledged, sent again, and counted as new: they had been lost.
        odd: answers to writers that do not add up.
        examples: messages of the first failures, by code.
    """

    latencies: list[float] = field(default_factory=list)
    recommend_failures: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    unexplained: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    write_failures: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    vanished: int = 0
    odd: int = 0
    examples: dict[str, str] = field(default_factory=dict)

    def failed(self, what: Counter[str], call: str, error: MarqueeError) -> None:
        """Count a failed call and keep the message of the first of its kind."""
        what[error.code.name] += 1
        self.examples.setdefault(f"{call} {error.code.name} {error.reason}".strip(), error.message)


class Load:
    """Runs from the start of a block until `finish`.

    Args:
        target: gRPC target of the orchestrators.
        ledger: takes what is acknowledged.
        numbering: what the writers send.
        users: whom the callers ask for.
        name: name of the drill's writers; never used before with this ledger.
        options: how much load.
    """

    def __init__(
        self,
        target: str,
        ledger: Ledger,
        numbering: Numbering,
        users: Sequence[str],
        name: str,
        options: LoadOptions,
    ) -> None:
        self.tally = Tally()
        self.options = options
        self._target, self._ledger, self._numbering, self._users, self._name = target, ledger, numbering, users, name
        self._random = random.Random(name)
        self._stopping = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._acknowledged_at = [0.0] * options.writers

    async def __aenter__(self) -> Self:
        self.client = AsyncMarqueeClient(self._target, timeout=self.options.write_seconds)
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(self.options.writers)]
        if self.options.callers:
            self._tasks.append(asyncio.create_task(self._call_regularly()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in [*self._tasks, *self._calls]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._calls, return_exceptions=True)
        await self.client.close()

    @property
    def written(self) -> bool:
        """Tell whether the writers have sent all they had to; False when there is no end to it."""
        return self.options.events is not None and all(task.done() for task in self._tasks[: self.options.writers])

    def acknowledged_since(self, moment: float) -> bool:
        """Tell whether every writer has been acknowledged, or is done, since a moment of the monotonic clock."""
        self._raise_if_broken()
        return self.written or min(self._acknowledged_at, default=moment) >= moment

    async def finish(self, seconds: float = 30.0) -> None:
        """Make no further calls, and wait until everything that was sent is acknowledged.

        Raises:
            NeverAcknowledged: that took too long.
        """
        self._stopping.set()
        waiting = {task for task in [*self._tasks, *self._calls] if not task.done()}
        if waiting:
            _, waiting = await asyncio.wait(waiting, timeout=seconds)
        self._raise_if_broken()
        if waiting:
            raise NeverAcknowledged(
                f"{len(waiting)} writers or callers had no answer {seconds:.0f} s after the end; {self.tally.examples}"
            )

    def _raise_if_broken(self) -> None:
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error

    # --- writers -------------------------------------------------------------------------------------

    async def _write(self, index: int) -> None:
        options = self.options
        writer = f"{self._name}-{index}"
        share = None if options.events is None else _share(options.events, options.writers, index)
        acknowledged: list[int] = []
        first, start = 0, time.monotonic()
        while not self._stopping.is_set() and (share is None or first < share):
            end = min(first + options.batch, share or first + options.batch)
            self._ledger.sending(writer, end)
            await self._deliver(writer, first, end)
            self._acknowledged_at[index] = time.monotonic()
            acknowledged.append(first)
            first = end
            if self._random.random() < _RESEND_SHARE:
                await self._repeat(writer, self._random.choice(acknowledged))
            if options.batches_per_second is not None:
                due = start + len(acknowledged) / options.batches_per_second
                await self._pause(due - time.monotonic())

    async def _deliver(self, writer: str, first: int, end: int) -> None:
        """Send a batch until it is acknowledged."""
        events = [self._numbering.event(writer, number) for number in range(first, end)]
        while True:
            try:
                answer = await self.client.write_events(events)
                break
            except MarqueeError as error:
                self.tally.failed(self.tally.write_failures, "WriteEvents", error)
                self.tally.resent += 1
            await asyncio.sleep(self._random.uniform(_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS))
        self._ledger.acknowledge(writer, first, end)
        self.tally.acknowledged += len(events)
        if answer.written_count + answer.duplicate_count != len(events) or answer.conflicting_event_ids:
            self.tally.odd += 1

    async def _repeat(self, writer: str, first: int) -> None:
        """Send an acknowledged batch again: all of it must be known."""
        end = min(first + self.options.batch, self._ledger.ends[writer])
        events = [self._numbering.event(writer, number) for number in range(first, end)]
        self.tally.resent += 1
        with contextlib.suppress(MarqueeError):
            answer = await self.client.write_events(events)
            self.tally.vanished += answer.written_count

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    # --- callers -------------------------------------------------------------------------------------

    async def _call_regularly(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            call = asyncio.create_task(self._call(self._random.choice(self._users), due))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            due += 1 / self.options.callers
            await self._pause(due - time.monotonic())

    async def _call(self, user_id: str, due: float) -> None:
        tally = self.tally
        try:
            answer = await self.client.recommend(user_id, timeout=self.options.deadline_seconds)
        except MarqueeError as error:
            tally.failed(tally.recommend_failures, "Recommend", error)
        else:
            missing = {
                step.step for step in answer.steps if step.outcome in (STEP_OUTCOME_FALLBACK, STEP_OUTCOME_FAILED)
            }
            tally.missing.update(missing)
            tally.degraded += answer.degraded
            tally.unexplained += answer.degraded and not missing
            if not answer.items:
                tally.recommend_failures["EMPTY"] += 1
        tally.latencies.append(time.monotonic() - due)


def _share(events: int, writers: int, index: int) -> int:
    return events // writers + (index < events % writers)
