"""The data plane: executes pipelines where their placement says, drops work nobody waits for, and measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

from services.runtime.engine import EnginePool
from services.runtime.pipeline import Pipeline, Place
from services.runtime.request_context import RequestContext, current_request

RequestT = TypeVar("RequestT")
BatchT = TypeVar("BatchT")
OutputT = TypeVar("OutputT")
ReplyT = TypeVar("ReplyT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Timings:
    """Where the time of one request went, in microseconds."""

    queue_microseconds: int
    """From arrival to the start of the first model run."""
    compute_microseconds: int
    """Sum over the model runs."""


@dataclass
class _Run:
    start: float
    seconds: float


class DataPlane:
    """Executes requests through pipelines on this process's engines."""

    def __init__(self, engines: int) -> None:
        self._engines = EnginePool(engines)
        self._preparation = ThreadPoolExecutor(engines, thread_name_prefix="prepare")

    @property
    def engines(self) -> int:
        """Number of model runs that may go on at the same time."""
        return self._engines.engines

    async def infer(
        self, pipeline: Pipeline[RequestT, BatchT, OutputT, ReplyT], request: RequestT
    ) -> tuple[ReplyT, Timings]:
        """Return the pipeline's reply to `request` and where the time went.

        Raises:
            ServiceError: the input is bad, or the deadline passed before the work was done.
        """
        call = current_request()
        placement = pipeline.placement
        prepared = await self._place(pipeline.place_of_prepare(request), lambda: pipeline.prepare(request))
        call.check_deadline()
        runs: list[_Run] = []

        def run(batch: BatchT) -> OutputT:
            return _measured(lambda: pipeline.run(batch), call, runs)

        if placement.run is Place.INLINE or len(prepared.batches) == 1:
            outputs: Sequence[OutputT] = [
                await self._place(placement.run, lambda batch=batch: run(batch))  # type: ignore[misc]
                for batch in prepared.batches
            ]
        else:
            outputs = await asyncio.gather(
                *(self._place(placement.run, lambda batch=batch: run(batch)) for batch in prepared.batches)  # type: ignore[misc]
            )
        call.check_deadline()
        reply = await self._place(placement.finish, lambda: pipeline.finish(prepared, outputs))
        return reply, _summarise(call, runs)

    async def _place(self, place: Place, work: Callable[[], ResultT]) -> ResultT:
        if place is Place.INLINE:
            return work()
        if place is Place.ENGINE:
            return await self._engines.submit(work)
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._preparation, lambda: context.run(work))

    def close(self) -> None:
        """Wait for the runs in progress and end the threads."""
        self._preparation.shutdown(wait=True, cancel_futures=True)
        self._engines.close()


def _measured(work: Callable[[], OutputT], call: RequestContext, runs: list[_Run]) -> OutputT:
    # Checked again on the engine: the deadline may have passed while the work queued for one.
    call.check_deadline()
    start = time.monotonic()
    output = work()
    runs.append(_Run(start, time.monotonic() - start))
    return output


def _summarise(call: RequestContext, runs: Sequence[_Run]) -> Timings:
    if not runs:
        return Timings(0, 0)
    queue = min(run.start for run in runs) - call.start
    return Timings(max(0, round(queue * 1e6)), round(sum(run.seconds for run in runs) * 1e6))
