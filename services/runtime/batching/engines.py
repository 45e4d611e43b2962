"""The threads that run models, each taking its next run from the scheduler the moment the last one ended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.batching.scheduler import Scheduler
from services.runtime.batching.work import UNSHARED, Work
from services.runtime.pipeline import Prepared


@dataclass(frozen=True, slots=True)
class _Done:
    """What one run gave: an output, or an exception, for each work."""

    works: Sequence[Work]
    results: Sequence[Any]
    start: float
    seconds: float
    prepare_seconds: float = 0.0


class EnginePool:
    """As many engines as the service has cores, by default. Results go to the event loop that made the pool's caller
    wait; one hop brings those of a whole run.

    Args:
        engines: number of runs that may go on at the same time.
        scheduler: where the work comes from.
        on_done: called on the event loop after each run.
    """

    def __init__(self, engines: int, scheduler: Scheduler, on_done: Callable[[], None] = lambda: None) -> None:
        self.engines = engines
        self._scheduler = scheduler
        self._on_done = on_done
        self._busy_since: list[float | None] = [None] * engines
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the threads; results go to the running event loop."""
        if self._loop is not None:
            return
        self._loop = asyncio.get_running_loop()
        for number in range(self.engines):
            # Daemons: a hung model must not keep a stopped process alive.
            thread = threading.Thread(target=self._serve, args=(number,), name=f"engine-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def busy_since(self) -> Sequence[float | None]:
        """Return for each engine the moment on the monotonic clock when its current run began, None for an idle one."""
        return tuple(self._busy_since)

    def close(self, seconds: float) -> None:
        """End the threads once the queue is empty; waits at most `seconds` for them."""
        self._scheduler.close()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self, number: int) -> None:
        while (taken := self._scheduler.take()) is not None:
            group, dead = taken
            if dead:
                self._post(_drop, dead)
            if group:
                self._busy_since[number] = time.monotonic()
                self._run(group)
                self._busy_since[number] = None
            # An engine that waits for work must not keep the last model, or the last caller's input, in memory.
            del taken, group, dead

    def _run(self, group: Sequence[Work]) -> None:
        if group[0].prepare is not None:
            self._post(self._deliver, self._run_whole(group[0], group[0].prepare))
            return
        done = _run_together(group) if len(group) > 1 else _run_alone(group[0])
        if done is not None:
            self._post(self._deliver, done)
            return
        # One caller's input must not fail the others': each alone, and only the culprit fails.
        for work in group:
            self._post(self._deliver, _run_alone(work))

    def _run_whole(self, work: Work, prepare: Callable[[], Prepared[Any]]) -> _Done:
        """Prepare a request here and run its first batch; the others go into the queue for whichever engine is free."""
        start = time.monotonic()
        try:
            prepared = prepare()
        except Exception as error:
            return _Done([work], [error], start, 0.0, time.monotonic() - start)
        seconds = time.monotonic() - start
        ticket = work.ticket
        ticket.grow(prepared)
        sizes = prepared.sizes or [UNSHARED] * len(prepared.batches)
        first, *rest = (
            Work(work.pipeline, ticket, batch, position, size)
            for position, (batch, size) in enumerate(zip(prepared.batches, sizes, strict=True))
        )
        if rest:
            self._scheduler.put(rest)
        done = _run_alone(first)
        return _Done(done.works, done.results, done.start, done.seconds, seconds)

    def _deliver(self, done: _Done) -> None:
        cost = sum(work.size.cost for work in done.works)
        rows = sum(work.size.rows for work in done.works)
        lane = done.works[0].ticket.lane
        failures = 0
        for work, result in zip(done.works, done.results, strict=True):
            work.ticket.prepare_seconds += done.prepare_seconds
            if isinstance(result, BaseException):
                failures += 1
                work.ticket.fail(result)
                continue
            share = done.seconds * work.size.cost / cost if cost else 0.0
            work.ticket.deliver(work.position, result, done.start, done.seconds, share, rows)
        if not failures:
            lane.observe_run(cost, done.seconds)
            if lane.metrics is not None:
                lane.metrics.ran(rows, cost, done.seconds)
        elif lane.metrics is not None and done.seconds:
            lane.metrics.failed()
        self._on_done()

    def _post(self, receive: Callable[[Any], None], what: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(receive, what)


def _drop(works: Sequence[Work]) -> None:
    for work in works:
        work.ticket.drop()


def _run_alone(work: Work) -> _Done:
    start = time.monotonic()
    try:
        result: Any = work.pipeline.run(work.batch)
    except Exception as error:
        result = error
    return _Done([work], [result], start, time.monotonic() - start)


def _run_together(group: Sequence[Work]) -> _Done | None:
    """Run batches as one; None when that failed."""
    pipeline = group[0].pipeline
    batches = [work.batch for work in group]
    start = time.monotonic()
    try:
        output = pipeline.run(pipeline.join(batches))
        results = pipeline.split(output, batches)
    except Exception:
        return None
    return _Done(group, results, start, time.monotonic() - start)
