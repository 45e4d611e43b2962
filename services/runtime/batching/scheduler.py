"""The queue in front of the engines: whose turn it is, and who may share a run."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Hashable, Iterable
from itertools import count

from services.runtime.batching.lane import ModelIdentity
from services.runtime.batching.work import AnyPipeline, Work

# Dead work leaves the queue when its turn comes; when most of a queue is dead, all of it at once.
_SWEEP_FROM = 256


class Scheduler:
    """Work of all pipelines, ordered by priority, then by virtual start, then by arrival.

    The virtual start of a request's n-th batch is the moment at which the batches before it would be done, had the
    request an engine for itself. A request of many batches thus takes turns with the small ones behind it instead of
    blocking them, and still nobody starves within a priority. (Start-time fair queueing, Goyal et al. 1996, with time
    for virtual time.)

    `put` is called on the event loop or on an engine, `take` on engines.

    Args:
        engines: engines that share the work.
        longest_shared_run_seconds: a run that is expected to take longer is not shared any further. Whoever shares a
            run waits for all of it, and whoever comes meanwhile too, so under load runs would grow until every
            deadline passes inside one.
    """

    def __init__(self, engines: int, longest_shared_run_seconds: float = 0.025) -> None:
        self._engines = engines
        self._longest = longest_shared_run_seconds
        self._ready = threading.Condition(threading.Lock())
        self._queues: dict[tuple[int, Hashable], _Queue] = {}
        self._arrivals = count()
        self._open = True
        self._waiting = 0

    def put(self, works: Iterable[Work]) -> None:
        """Queue batches of one request, in its order."""
        start = time.monotonic()
        with self._ready:
            added = 0
            for work in works:
                work.key = (work.ticket.priority, start, next(self._arrivals))
                start += work.size.cost * work.ticket.lane.seconds_per_cost
                place = (id(work.pipeline), work.size.bucket)
                queue = self._queues.get(place)
                if queue is None:
                    queue = self._queues[place] = _Queue(work.pipeline)
                queue.push(work)
                added += 1
            if self._waiting:
                self._ready.notify(added)

    def take(self) -> tuple[list[Work], list[Work]] | None:
        """Wait for work and return what shares the next run, first come first, and the dead work met on the way; None
        when the scheduler is closed. The run is empty when only dead work was found.
        """
        with self._ready:
            while not self._queues:
                if not self._open:
                    return None
                self._waiting += 1
                self._ready.wait()
                self._waiting -= 1
            dead: list[Work] = []
            place, queue = min(self._queues.items(), key=lambda entry: entry[1].heap[0])
            group = queue.pop_group(self._engines, self._longest, dead)
            if not queue.heap:
                del self._queues[place]
            return group, dead

    def queued(self) -> dict[ModelIdentity, tuple[int, int]]:
        """Return rows and cost that wait, by the model version they wait for."""
        found: dict[ModelIdentity, tuple[int, int]] = {}
        with self._ready:
            for queue in self._queues.values():
                identity = queue.heap[0].ticket.lane.identity
                rows, cost = found.get(identity, (0, 0))
                found[identity] = rows + queue.rows, cost + queue.cost
        return found

    def sweep(self) -> list[Work]:
        """Remove dead work of queues that hold mostly that, and return it."""
        dead: list[Work] = []
        with self._ready:
            for place, queue in list(self._queues.items()):
                if len(queue.heap) >= _SWEEP_FROM:
                    queue.sweep(dead)
                    if not queue.heap:
                        del self._queues[place]
        return dead

    def close(self) -> None:
        """Let the engines end once the queue is empty."""
        with self._ready:
            self._open = False
            self._ready.notify_all()


class _Queue:
    """Work of one pipeline and bucket."""

    __slots__ = ("cost", "heap", "pipeline", "rows")

    def __init__(self, pipeline: AnyPipeline) -> None:
        self.pipeline = pipeline
        self.heap: list[Work] = []
        self.rows = 0
        self.cost = 0

    def push(self, work: Work) -> None:
        heapq.heappush(self.heap, work)
        self.rows += work.size.rows
        self.cost += work.size.cost

    def pop_group(self, engines: int, longest: float, dead: list[Work]) -> list[Work]:
        """Take what shares the next run. What waits is spread over the engines: two half batches side by side are
        done sooner than one whole batch.
        """
        pipeline = self.pipeline
        limit = min(pipeline.max_batch, max(1, -(-self.rows // engines)))
        group: list[Work] = []
        rows = cost = 0
        while self.heap:
            work = self.heap[0]
            if not work.ticket.wanted or work.ticket.expired():
                dead.append(self._pop())
                continue
            size = work.size
            too_costly = pipeline.max_cost is not None and cost + size.cost > pipeline.max_cost
            too_long = (cost + size.cost) * work.ticket.lane.seconds_per_cost > longest
            if group and (work.prepare is not None or rows + size.rows > limit or too_costly or too_long):
                break
            group.append(self._pop())
            rows += size.rows
            cost += size.cost
            if work.prepare is not None or rows >= limit:
                break
        return group

    def sweep(self, dead: list[Work]) -> None:
        alive: list[Work] = []
        for work in self.heap:
            (alive if work.ticket.wanted else dead).append(work)
        heapq.heapify(alive)
        self.heap = alive
        self.rows = sum(work.size.rows for work in alive)
        self.cost = sum(work.size.cost for work in alive)

    def _pop(self) -> Work:
        work = heapq.heappop(self.heap)
        self.rows -= work.size.rows
        self.cost -= work.size.cost
        return work
