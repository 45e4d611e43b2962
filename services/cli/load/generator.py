"""Makes the load of one process: an open loop that keeps to its times, or a closed loop of callers."""

from __future__ import annotations

import asyncio
import resource
import time
from array import array
from bisect import bisect
from itertools import accumulate
from random import Random

from services.cli.channels import open_async_channel
from services.cli.load.arrivals import arrival_times
from services.cli.load.calls import CHANNEL_OPTIONS, StepCalls
from services.cli.load.plan import NOT_SENT, Calls, Finished, Plan, Segment
from services.cli.load.timer import Timer
from services.cli.tls import command_tls

IN_FLIGHT_LIMIT = "IN_FLIGHT_LIMIT"
_CONNECT_SECONDS = 5.0
_PATIENCE_AFTER_STOP_SECONDS = 2.0
_PAUSE_WITHOUT_SERVER_SECONDS = 0.02


class Generator:
    """Sends what a plan says.

    Args:
        plan: steps and connections.
        seed: of the choices among steps and requests.
    """

    def __init__(self, plan: Plan, seed: int = 0) -> None:
        self._chance = Random(seed)  # noqa: S311 (load, not secrets)
        self._plan = plan
        tls = command_tls()
        self._channels = {
            address: [open_async_channel(address, CHANNEL_OPTIONS, tls) for _ in range(plan.channels)]
            for address in sorted({step.address for step in plan.steps})
        }
        self._steps = [StepCalls(step, self._channels[step.address], self._chance) for step in plan.steps]
        self._weights = list(accumulate(step.weight for step in plan.steps))
        self._outcomes: dict[tuple[int, str, str], int] = {}
        self._new_outcomes: list[tuple[int, str, str]] = []
        self._ended = array("q")
        self._tasks: set[asyncio.Task[tuple[str, str]]] = set()
        self._in_flight = 0
        self._zero = 0
        self._stopped = asyncio.Event()

    async def connect(self) -> str:
        """Connect to every address; return what is wrong, nothing when all is well."""
        for address, channels in self._channels.items():
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    for channel in channels:
                        await channel.channel_ready()
            except TimeoutError:
                return f"nobody answers at {address}"
        return ""

    async def close(self) -> None:
        """Close all connections."""
        for channels in self._channels.values():
            for channel in channels:
                await channel.close()

    def stop(self) -> None:
        """End the running segment: send nothing more."""
        self._stopped.set()

    def take(self) -> Calls:
        """Return the calls that ended since the last time."""
        taken = Calls(tuple(self._new_outcomes), self._ended.tobytes(), self._in_flight)
        self._new_outcomes.clear()
        self._ended = array("q")
        return taken

    async def run(self, segment: Segment) -> Finished:
        """Run one segment to the end of its last call."""
        self._stopped.clear()
        self._zero = segment.start + int(segment.warm_up_seconds * 1e9)
        end = self._zero + int(segment.seconds * 1e9)
        load = asyncio.create_task(self._open(segment) if segment.rate else self._closed(segment, end))
        await self._sleep_until(self._zero)
        warm = not self._stopped.is_set()
        cpu = _cpu_seconds()
        begin = time.monotonic_ns()
        await self._sleep_until(end)
        elapsed = (time.monotonic_ns() - begin) / 1e9
        seconds = segment.seconds if not self._stopped.is_set() else min(elapsed, segment.seconds) if warm else 0.0
        cpu = _cpu_seconds() - cpu
        abandoned = await self._drain(load)
        return Finished(seconds, cpu, abandoned)

    async def _sleep_until(self, at: int) -> None:
        try:
            async with asyncio.timeout(max(0.0, (at - time.monotonic_ns()) / 1e9)):
                await self._stopped.wait()
        except TimeoutError:
            pass

    async def _drain(self, load: asyncio.Task[None]) -> int:
        """Wait for the calls in flight: every one has a deadline. Return how many had to be given up after a stop."""

        async def all_calls() -> None:
            await load
            if self._tasks:
                await asyncio.wait(self._tasks)

        over, stopped = asyncio.create_task(all_calls()), asyncio.create_task(self._stopped.wait())
        await asyncio.wait({over, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        await asyncio.wait({over}, timeout=_PATIENCE_AFTER_STOP_SECONDS)
        if over.done():
            over.result()
            return 0
        abandoned = self._in_flight
        over.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(over, *self._tasks, return_exceptions=True)
        return abandoned

    async def _open(self, segment: Segment) -> None:
        """Send each call when it is due, whatever happened to the calls before."""
        loop = asyncio.get_running_loop()
        arrivals = arrival_times(segment, Random(segment.seed))  # noqa: S311
        over = asyncio.Event()
        due = next(arrivals, None)

        def fire() -> None:
            nonlocal due
            now = time.monotonic_ns() - segment.start
            while due is not None and due <= now and not self._stopped.is_set():
                self._arrive(segment.start + due, segment.max_in_flight)
                due = next(arrivals, None)
            if due is None or self._stopped.is_set():
                over.set()
            else:
                timer.arm(segment.start + due)

        timer = Timer(loop, fire)
        fire()
        waiting = [asyncio.create_task(event.wait()) for event in (over, self._stopped)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.close()
            for one in waiting:
                one.cancel()

    def _arrive(self, intended: int, max_in_flight: int) -> None:
        index = self._pick()
        if self._in_flight >= max_in_flight:
            self._note(index, NOT_SENT, IN_FLIGHT_LIMIT, intended, -1000, 0)
            return
        self._in_flight += 1
        task = asyncio.create_task(self._call(index, intended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _closed(self, segment: Segment, end: int) -> None:
        """Let each caller send its next call when it has the answer to the one before."""

        async def caller() -> None:
            await self._sleep_until(segment.start)
            while not self._stopped.is_set():
                index = self._pick()
                shortest, longest = self._plan.steps[index].think_seconds
                if longest:
                    await asyncio.sleep(self._chance.uniform(shortest, longest))
                now = time.monotonic_ns()
                if now >= end or self._stopped.is_set():
                    return
                self._in_flight += 1
                code, reason = await self._call(index, now)
                if code == "UNAVAILABLE" and not reason:  # nobody there: the caller waits before it knocks again
                    await asyncio.sleep(_PAUSE_WITHOUT_SERVER_SECONDS)

        callers = [asyncio.create_task(caller()) for _ in range(segment.callers)]
        try:
            await asyncio.gather(*callers)
        finally:
            for one in callers:
                one.cancel()

    async def _call(self, index: int, intended: int) -> tuple[str, str]:
        step = self._steps[index]
        try:
            body = step.body()
            sent = time.monotonic_ns()
            try:
                code, reason = await step.send(body)
            except Exception as error:  # a fault of ours must not make a call vanish from the count
                code, reason = "GENERATOR_ERROR", type(error).__name__
            self._note(index, code, reason, intended, sent - intended, time.monotonic_ns() - sent)
        finally:
            self._in_flight -= 1
        return code, reason

    def _pick(self) -> int:
        if len(self._weights) == 1:
            return 0
        return bisect(self._weights, self._chance.random() * self._weights[-1], hi=len(self._weights) - 1)

    def _note(self, index: int, code: str, reason: str, intended: int, lag: int, service: int) -> None:
        key = (index, code, reason)
        number = self._outcomes.get(key)
        if number is None:
            number = self._outcomes[key] = len(self._outcomes)
            self._new_outcomes.append(key)
        self._ended.extend((number, (intended - self._zero) // 1000, lag // 1000, service // 1000))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
