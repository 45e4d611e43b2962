"""The data plane: executes pipelines where their placement says, batches what may share a run, refuses what cannot be
done in time, drops work nobody waits for, and measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from services.runtime.batching.admission import Admission
from services.runtime.batching.engines import EnginePool
from services.runtime.batching.lane import Lane, LaneMetrics, ModelIdentity
from services.runtime.batching.scheduler import Scheduler
from services.runtime.batching.work import UNSHARED, Ticket, Work
from services.runtime.errors import Unavailable
from services.runtime.pipeline import Pipeline, Place, Prepared, Size
from services.runtime.request_context import Priority, RequestContext, current_request
from services.runtime.response_cache import ResponseCache, entry_key

RequestT = TypeVar("RequestT")
BatchT = TypeVar("BatchT")
OutputT = TypeVar("OutputT")
ReplyT = TypeVar("ReplyT")
ResultT = TypeVar("ResultT")

# Work that would keep the event loop from all other calls for longer than this goes to an engine, whatever the
# placement says.
_LONGEST_INLINE_SECONDS = 0.001
_UNNAMED = ModelIdentity("unnamed", "")


class Usage(Protocol):
    """Where each tenant's use of the models is counted."""

    def add(self, tenant: str, model: str, version: str, unit: str, amount: int, compute_seconds: float) -> None:
        """Count one answered request."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in microseconds."""

    queue_microseconds: int
    """From arrival to the start of the first model run."""
    compute_microseconds: int
    """Sum over the model runs; a run that was shared counts whole."""
    cached: bool = False
    """Whether the answer came from the response cache and no model ran."""
    batch_rows: int = 0
    """Rows of the largest run that the request was part of, those of other requests included."""
    prepare_microseconds: int = 0
    """Time its input was prepared."""
    finish_microseconds: int = 0
    """Time its reply was put together."""


_CACHED = Timings(0, 0, cached=True)


class DataPlane:
    """Executes requests through pipelines on this process's engines.

    Args:
        engines: model runs that may go on at the same time.
        maximum_requests: requests admitted at the same time.
        maximum_wait_seconds: longest estimated wait for an engine; more is refused.
        cache_bytes: size of the response cache; 0 for none.
        metrics: returns where a model version's work is counted; None counts nothing.
        usage: where the tenants' use is counted; None counts nothing.
    """

    def __init__(
        self,
        engines: int,
        maximum_requests: int = 4096,
        maximum_wait_seconds: float = 1.0,
        cache_bytes: int = 0,
        metrics: Callable[[str, str], LaneMetrics] | None = None,
        usage: Usage | None = None,
    ) -> None:
        self._scheduler = Scheduler(engines)
        self._engines = EnginePool(engines, self._scheduler)
        self._admission = Admission(engines, maximum_requests, maximum_wait_seconds)
        self._preparation = ThreadPoolExecutor(engines, thread_name_prefix="prepare")
        self._cache = ResponseCache(cache_bytes) if cache_bytes else None
        self._metrics = metrics
        self._usage = usage
        self._closed = False

    @property
    def engines(self) -> int:
        """Number of model runs that may go on at the same time."""
        return self._engines.engines

    @property
    def admitted_requests(self) -> int:
        """Number of requests that wait for an engine or run."""
        return self._admission.requests

    @property
    def cache_size(self) -> tuple[int, int]:
        """Bytes and number of the response cache's entries."""
        return self._cache.size if self._cache else (0, 0)

    def busy_since(self) -> Sequence[float | None]:
        """Return for each engine the moment on the monotonic clock when its run began, None for an idle one."""
        return self._engines.busy_since()

    def queued(self) -> dict[ModelIdentity, tuple[int, int]]:
        """Return rows and cost that wait, by the model version they wait for."""
        return self._scheduler.queued()

    async def infer(
        self,
        pipeline: Pipeline[RequestT, BatchT, OutputT, ReplyT],
        request: RequestT,
        *,
        model: ModelIdentity | None = None,
        cache_key: Callable[[], bytes] | None = None,
        priority: Priority | None = None,
    ) -> tuple[ReplyT, Timings]:
        """Return the pipeline's reply to `request` and where the time went.

        Args:
            pipeline: what answers.
            request: the pipeline's request.
            model: model version under which the work is counted; taken from the pipeline's first request.
            cache_key: makes the canonical bytes of the options and the input, for a pipeline whose answers may be
                kept; replies must then not be changed. Only asked when there is a cache.
            priority: how urgent it is; the call's own when None.

        Raises:
            ServiceError: the input is bad, the deadline passed before the work was done, or the service is overloaded.
        """
        call = current_request()
        lane = pipeline.lane or self._open_lane(pipeline, model)
        place = pipeline.place_of_prepare(request)
        inline = place is Place.INLINE and pipeline.placement.run is Place.INLINE
        key = None
        if self._cache is not None and cache_key is not None:
            key = entry_key(call.tenant, lane.identity, f"{type(pipeline).__name__}/{lane.serial}", cache_key())
            kept = self._cache.get(key)
            if lane.metrics is not None:
                lane.metrics.cached(kept is not None)
            if kept is not None:
                self._count(call, lane, pipeline.cost_unit, 0, 0.0)
                return kept, _CACHED
        if inline:
            begin = time.monotonic()
            prepared = pipeline.prepare(request)
            if prepared.cost * lane.seconds_per_cost <= _LONGEST_INLINE_SECONDS:
                reply, timings = self._run_inline(call, lane, pipeline, prepared, begin)
            else:
                reply, timings = await self._run_admitted(call, lane, pipeline, request, priority, prepared)
        else:
            reply, timings = await self._run_admitted(call, lane, pipeline, request, priority, None)
        if key is not None and self._cache is not None:
            self._cache.put(key, reply)
        return reply, timings

    def lane_of(self, pipeline: Pipeline[Any, Any, Any, Any], model: ModelIdentity) -> Lane:
        """Return what is known of a pipeline's work."""
        return pipeline.lane or self._open_lane(pipeline, model)

    async def prepare(self, pipeline: Pipeline[RequestT, BatchT, Any, Any], request: RequestT) -> Prepared[BatchT]:
        """Prepare a request, inline or on a thread as its pipeline says, whose runs `take_turn` will do.

        Raises:
            ServiceError: the input is bad, the deadline passed, or the service is shutting down.
        """
        call = current_request()
        if self._closed:
            raise _shutting_down()
        prepared = await self._place(pipeline.place_of_prepare(request), lambda: pipeline.prepare(request))
        call.check_deadline()
        return prepared

    async def take_turn(
        self, pipeline: Pipeline[Any, BatchT, OutputT, Any], batch: BatchT, size: Size, priority: Priority
    ) -> Ticket[OutputT]:
        """Run one batch on an engine, for a pipeline whose requests take many runs one after the other and share them
        in its own way. Turns wait in the queue like all work; they are not refused, since their requests were let in,
        and they count in what newcomers are told to wait. The caller counts the answers: `count_answer`.

        Args:
            pipeline: what runs; `lane_of` was asked for it.
            batch: its input.
            size: how large the run is.
            priority: how urgent it is.

        Returns:
            The ticket of the run: its only output and its times.
        """
        lane = pipeline.lane
        if lane is None or self._closed:
            raise _shutting_down()
        ticket: Ticket[OutputT] = Ticket(lane, 1, None, priority)
        admitted = self._admission.enter(lane, priority)
        try:
            self._engines.start()
            self._scheduler.put([Work(pipeline, ticket, batch, 0, size)])
            await ticket.wait()
        finally:
            self._admission.leave(admitted, missed=False)
        lane.observe_request(ticket.share_seconds)
        return ticket

    def count_answer(
        self,
        pipeline: Pipeline[Any, Any, Any, Any],
        call: RequestContext,
        cost: int,
        seconds: float,
        answered: bool = True,
    ) -> None:
        """Count one request whose work was done in turns.

        Args:
            pipeline: what did it.
            call: whose request it is.
            cost: work done, in the pipeline's unit.
            seconds: its share of engine seconds.
            answered: whether it was answered whole; of one that was given up only the use is counted.
        """
        lane = pipeline.lane
        if lane is None:
            return
        if answered:
            self._count(call, lane, pipeline.cost_unit, cost, seconds)
        elif self._usage is not None:
            self._usage.add(call.tenant, lane.identity.name, lane.identity.version, pipeline.cost_unit, cost, seconds)

    def close(self, seconds: float = 10.0) -> None:
        """Wait for the runs in progress, at most `seconds`, and end the threads."""
        self._closed = True
        self._preparation.shutdown(wait=False, cancel_futures=True)
        self._engines.close(seconds)

    def _run_inline(
        self,
        call: RequestContext,
        lane: Lane,
        pipeline: Pipeline[Any, BatchT, OutputT, ReplyT],
        prepared: Prepared[BatchT],
        begin: float,
    ) -> tuple[ReplyT, Timings]:
        call.check_deadline()
        start = time.monotonic()
        outputs = [pipeline.run(batch) for batch in prepared.batches]
        ran = time.monotonic()
        seconds = ran - start
        reply = pipeline.finish(prepared, outputs)
        lane.observe_run(prepared.cost, seconds)
        sizes = prepared.sizes
        rows = sizes[0].rows if sizes else 1
        if lane.metrics is not None:
            lane.metrics.ran(rows, prepared.cost, seconds)
            lane.metrics.waited(start - call.start)
        if call.span is not None:
            call.span.ran(lane.identity.name, lane.identity.version, rows, call.start, start, ran)
        self._count(call, lane, pipeline.cost_unit, prepared.cost, seconds)
        return reply, Timings(
            max(0, int((start - call.start) * 1e6)),
            max(1, int(seconds * 1e6)),
            False,
            rows,
            int((start - begin) * 1e6),
            int((time.monotonic() - ran) * 1e6),
        )

    async def _run_admitted(
        self,
        call: RequestContext,
        lane: Lane,
        pipeline: Pipeline[RequestT, BatchT, OutputT, ReplyT],
        request: RequestT,
        priority: Priority | None,
        prepared: Prepared[BatchT] | None,
    ) -> tuple[ReplyT, Timings]:
        if self._closed:
            raise _shutting_down()
        rank = call.priority if priority is None else priority
        call.check_deadline()
        admitted = self._admission.admit(lane, rank, call.remaining_seconds())
        try:
            begin = time.monotonic()
            place = pipeline.place_of_prepare(request)
            if prepared is None and place is not Place.ENGINE:
                prepared = await self._place(place, lambda: pipeline.prepare(request))
                call.check_deadline()
            prepare_seconds = time.monotonic() - begin
            ticket: Ticket[OutputT] = Ticket(lane, len(prepared.batches) if prepared else 1, call.deadline, rank)
            if prepared is None or prepared.batches:
                self._engines.start()
                self._scheduler.put(_works(pipeline, ticket, request, prepared))
                await self._finished(ticket)
            call.check_deadline()
            whole = prepared or ticket.prepared
            if whole is None:
                raise TypeError("a request ran without having been prepared")
            ran = time.monotonic()
            reply = await self._place(pipeline.placement.finish, lambda: pipeline.finish(whole, ticket.outputs))
        finally:
            remaining = call.remaining_seconds()
            self._admission.leave(admitted, missed=remaining is not None and remaining <= 0)
        lane.observe_request(ticket.share_seconds + ticket.prepare_seconds)
        queue_seconds = max(0.0, (ticket.first_start or begin) - call.start)
        if lane.metrics is not None:
            lane.metrics.waited(queue_seconds)
        if call.span is not None:
            identity = lane.identity
            begun = ticket.first_start or begin
            call.span.ran(identity.name, identity.version, ticket.rows, call.start, begun, ticket.last_end or begun)
        self._count(call, lane, pipeline.cost_unit, whole.cost, ticket.share_seconds)
        return reply, Timings(
            int(queue_seconds * 1e6),
            max(1, int(ticket.compute_seconds * 1e6)),
            False,
            ticket.rows,
            int((prepare_seconds + ticket.prepare_seconds) * 1e6),
            int((time.monotonic() - ran) * 1e6),
        )

    async def _finished(self, ticket: Ticket[Any]) -> None:
        """Wait for a request's runs; one that is given up makes room for others at once."""
        try:
            await ticket.wait()
        except asyncio.CancelledError:
            for work in self._scheduler.sweep():
                work.ticket.drop()
            raise

    async def _place(self, place: Place, work: Callable[[], ResultT]) -> ResultT:
        if place is Place.INLINE:
            return work()
        # The logs of what runs there carry the request's id.
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._preparation, lambda: context.run(work))

    def _open_lane(self, pipeline: Pipeline[Any, Any, Any, Any], model: ModelIdentity | None) -> Lane:
        identity = model or _UNNAMED
        metrics = self._metrics(identity.name, identity.version) if self._metrics else None
        pipeline.lane = Lane(identity, metrics)
        return pipeline.lane

    def _count(self, call: RequestContext, lane: Lane, unit: str, cost: int, seconds: float) -> None:
        identity = lane.identity
        if lane.metrics is not None:
            lane.metrics.answered(unit, cost)
        if self._usage is not None:
            self._usage.add(call.tenant, identity.name, identity.version, unit, cost, seconds)


def _shutting_down() -> Unavailable:
    return Unavailable("SHUTTING_DOWN", "the service is shutting down; call another replica")


def _works(
    pipeline: Pipeline[RequestT, BatchT, OutputT, Any],
    ticket: Ticket[OutputT],
    request: RequestT,
    prepared: Prepared[BatchT] | None,
) -> list[Work]:
    if prepared is None:
        context = copy_context()
        return [Work(pipeline, ticket, None, 0, UNSHARED, lambda: context.run(pipeline.prepare, request))]
    sizes = prepared.sizes or [UNSHARED] * len(prepared.batches)
    return [
        Work(pipeline, ticket, batch, position, size)
        for position, (batch, size) in enumerate(zip(prepared.batches, sizes, strict=True))
    ]
