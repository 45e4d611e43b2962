"""What callers of one engine notice of each other: they share runs, take turns, and never harm one another."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from services.runtime.data_plane import DataPlane
from services.runtime.errors import ServiceError
from services.runtime.pipeline import Pipeline, Place, Placement, Prepared, Size
from services.runtime.request_context import Priority, RequestContext, enter_request

Batch = list[int]


class Doubling(Pipeline[Sequence[int], Batch, Batch, Batch]):
    """Doubles numbers, one batch a number. Odd and even numbers never share a run; 13 breaks the model."""

    def __init__(self, max_batch: int = 4, max_cost: int | None = None, placement: Placement | None = None) -> None:
        self.max_batch, self.max_cost = max_batch, max_cost
        self.placement = placement or Placement()
        self.runs: list[Batch] = []
        self.gate = threading.Event()
        self.gate.set()
        self.seconds = 0.0

    def prepare(self, request: Sequence[int]) -> Prepared[Batch]:
        sizes = [Size(rows=1, cost=abs(number), bucket=number % 2) for number in request]
        return Prepared([[number] for number in request], sum(size.cost for size in sizes), None, sizes)

    def run(self, batch: Batch) -> Batch:
        self.gate.wait(10)
        time.sleep(self.seconds)
        self.runs.append(batch)
        if 13 in batch:
            raise ArithmeticError("unlucky")
        return [2 * number for number in batch]

    def join(self, batches: Sequence[Batch]) -> Batch:
        return [number for batch in batches for number in batch]

    def split(self, output: Batch, batches: Sequence[Batch]) -> Sequence[Batch]:
        return [[number] for number in output]

    def finish(self, prepared: Prepared[Batch], outputs: Sequence[Batch]) -> Batch:
        return [number for output in outputs for number in output]


@pytest.fixture
async def plane() -> AsyncIterator[DataPlane]:
    made = DataPlane(1)
    yield made
    made.close()


async def ask(
    plane: DataPlane, pipeline: Doubling, numbers: Sequence[int], priority: Priority = Priority.NORMAL
) -> Batch:
    return (await plane.infer(pipeline, numbers, priority=priority))[0]


async def queued_behind(
    plane: DataPlane, pipeline: Doubling, *requests: Sequence[int], priorities: Sequence[Priority] = ()
) -> list[Batch]:
    """Ask for all while the engine is held up by another run, so that all of them queue; return their answers."""
    holder = Doubling()
    holder.gate.clear()
    first = asyncio.create_task(ask(plane, holder, [2]))
    await asyncio.sleep(0.02)
    ranks = priorities or [Priority.NORMAL] * len(requests)
    tasks = []
    for numbers, rank in zip(requests, ranks, strict=True):
        tasks.append(asyncio.create_task(ask(plane, pipeline, numbers, rank)))
        await asyncio.sleep(0.002)
    holder.gate.set()
    await first
    return await asyncio.gather(*tasks)


async def test_requests_that_wait_share_the_next_run(plane: DataPlane) -> None:
    pipeline = Doubling()
    assert await queued_behind(plane, pipeline, [2], [4], [6]) == [[4], [8], [12]]
    assert pipeline.runs == [[2, 4, 6]]


async def test_a_request_to_an_idle_engine_waits_for_nobody(plane: DataPlane) -> None:
    pipeline = Doubling()
    reply, timings = await plane.infer(pipeline, [2])
    assert reply == [4]
    assert timings.batch_rows == 1
    assert timings.queue_microseconds < 50_000


async def test_a_run_never_exceeds_its_rows(plane: DataPlane) -> None:
    pipeline = Doubling(max_batch=2)
    await queued_behind(plane, pipeline, [2], [4], [6], [8], [10])
    assert pipeline.runs == [[2, 4], [6, 8], [10]]


async def test_a_run_never_exceeds_its_cost_unless_one_batch_does(plane: DataPlane) -> None:
    pipeline = Doubling(max_cost=10)
    await queued_behind(plane, pipeline, [4], [6], [2], [40])
    assert pipeline.runs == [[4, 6], [2], [40]]


async def test_only_equal_buckets_share_a_run(plane: DataPlane) -> None:
    pipeline = Doubling()
    assert await queued_behind(plane, pipeline, [2], [3], [4], [5]) == [[4], [6], [8], [10]]
    assert pipeline.runs == [[2, 4], [3, 5]]


async def test_what_waits_is_spread_over_the_engines() -> None:
    plane = DataPlane(2)
    pipeline, holders = Doubling(max_batch=8), [Doubling(), Doubling()]
    for holder in holders:
        holder.gate.clear()
    held = [asyncio.create_task(ask(plane, holder, [2])) for holder in holders]
    await asyncio.sleep(0.02)
    waiting = [asyncio.create_task(ask(plane, pipeline, [2 * number])) for number in range(1, 7)]
    await asyncio.sleep(0.02)
    for holder in holders:
        holder.gate.set()
    await asyncio.gather(*held, *waiting)
    plane.close()
    assert sorted(map(len, pipeline.runs)) == [1, 2, 3], "half of what waits, each time"


async def test_as_many_runs_go_on_at_a_time_as_there_are_engines() -> None:
    plane = DataPlane(2)
    lock, running, most = threading.Lock(), 0, 0

    class Counting(Doubling):
        def run(self, batch: Batch) -> Batch:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.01)
            with lock:
                running -= 1
            return super().run(batch)

    await asyncio.gather(*(ask(plane, Counting(max_batch=1), [2]) for _ in range(8)))
    plane.close()
    assert most == 2


async def test_urgent_work_runs_first(plane: DataPlane) -> None:
    pipeline = Doubling(max_batch=1)
    await queued_behind(
        plane, pipeline, [2], [4], [6], [8], priorities=[Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.NORMAL]
    )
    assert pipeline.runs == [[6], [4], [8], [2]]


async def test_a_large_request_takes_turns_with_the_small_ones_behind_it(plane: DataPlane) -> None:
    pipeline = Doubling(max_batch=1)
    pipeline.seconds = 0.01
    await ask(plane, pipeline, [2])  # from here on the plane knows what a number costs
    pipeline.runs.clear()
    large, small = [[100]] * 10, [[2], [4]]
    await queued_behind(plane, pipeline, [100] * 10, [2], [4])
    assert pipeline.runs[-1] == large[-1]
    assert all(pipeline.runs.index(one) <= 3 for one in small), pipeline.runs


async def test_one_callers_input_does_not_fail_those_who_share_its_run(plane: DataPlane) -> None:
    pipeline = Doubling()
    answers = asyncio.create_task(queued_behind(plane, pipeline, [11], [15]))
    assert await answers == [[22], [30]]
    holder = Doubling()
    holder.gate.clear()
    held = asyncio.create_task(ask(plane, holder, [2]))
    await asyncio.sleep(0.02)
    waiting = [asyncio.create_task(ask(plane, pipeline, [number])) for number in (11, 13, 15)]
    await asyncio.sleep(0.02)
    holder.gate.set()
    await held
    good, culprit, also_good = await asyncio.gather(*waiting, return_exceptions=True)
    assert (good, also_good) == ([22], [30])
    assert isinstance(culprit, ArithmeticError)


async def test_after_one_batch_failed_the_rest_of_the_request_is_dropped(plane: DataPlane) -> None:
    pipeline = Doubling(max_batch=1)
    with pytest.raises(ArithmeticError):
        await ask(plane, pipeline, [13, 15, 17, 19])
    assert await ask(plane, pipeline, [2]) == [4]
    assert [17] not in pipeline.runs


async def test_a_picture_is_decoded_and_run_in_one_hop_and_its_company_elsewhere() -> None:
    plane = DataPlane(2)
    pipeline = Doubling(max_batch=1, placement=Placement(prepare=Place.ENGINE))
    reply, timings = await plane.infer(pipeline, [2, 4, 6])
    plane.close()
    assert reply == [4, 8, 12]
    assert timings.prepare_microseconds >= 0
    assert sorted(pipeline.runs) == [[2], [4], [6]]


class TestAdmission:
    async def test_a_full_queue_refuses_at_once_and_says_when_to_retry(self) -> None:
        plane = DataPlane(1, maximum_requests=2)
        pipeline = Doubling(max_batch=1)
        pipeline.gate.clear()
        waiting = [asyncio.create_task(ask(plane, pipeline, [2])) for _ in range(2)]
        await asyncio.sleep(0.02)
        begin = time.monotonic()
        with pytest.raises(ServiceError) as refused:
            await ask(plane, pipeline, [4])
        assert time.monotonic() - begin < 0.05
        assert (refused.value.code.name, refused.value.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
        assert refused.value.retry_after_seconds
        pipeline.gate.set()
        await asyncio.gather(*waiting)
        assert await ask(plane, pipeline, [4]) == [8], "when others are done there is room again"
        plane.close()

    async def test_what_cannot_finish_before_its_deadline_is_refused_before_it_waits(self) -> None:
        plane = DataPlane(1)
        pipeline = Doubling(max_batch=1)
        pipeline.seconds = 0.02
        for _ in range(30):
            await ask(plane, pipeline, [2])
        waiting = [asyncio.create_task(ask(plane, pipeline, [2])) for _ in range(10)]
        await asyncio.sleep(0.005)

        async def in_a_hurry() -> Batch:
            enter_request(RequestContext(deadline=time.monotonic() + 0.05))
            return await ask(plane, pipeline, [4])

        with pytest.raises(ServiceError) as refused:
            await asyncio.create_task(in_a_hurry())
        assert refused.value.reason == "CANNOT_FINISH_IN_TIME"
        await asyncio.gather(*waiting)
        assert await asyncio.create_task(in_a_hurry()) == [8]
        plane.close()

    async def test_callers_who_leave_make_room(self) -> None:
        plane = DataPlane(1, maximum_requests=3)
        pipeline = Doubling(max_batch=1)
        pipeline.gate.clear()
        first = asyncio.create_task(ask(plane, pipeline, [2]))
        await asyncio.sleep(0.02)
        for _ in range(500):
            gone = [asyncio.create_task(ask(plane, pipeline, [4])) for _ in range(2)]
            await asyncio.sleep(0)
            for task in gone:
                task.cancel()
            await asyncio.gather(*gone, return_exceptions=True)
        assert plane.admitted_requests == 1
        assert sum(rows for rows, _ in plane.queued().values()) < 600, "the dead do not pile up"
        pipeline.gate.set()
        await first
        assert await ask(plane, pipeline, [6]) == [12]
        assert [4] not in pipeline.runs
        plane.close()

    async def test_nothing_is_refused_while_an_engine_is_free(self) -> None:
        plane = DataPlane(2, maximum_wait_seconds=1e-6)
        assert await ask(plane, Doubling(), [2]) == [4]
        plane.close()


class TestCache:
    async def test_the_same_question_is_answered_without_a_run(self) -> None:
        plane = DataPlane(1, cache_bytes=1 << 20)
        pipeline = Doubling()
        first, timings = await plane.infer(pipeline, [2], cache_key=lambda: b"2")
        again, timings_again = await plane.infer(pipeline, [2], cache_key=lambda: b"2")
        assert first == again == [4]
        assert (timings.cached, timings_again.cached) == (False, True)
        assert pipeline.runs == [[2]]
        plane.close()

    async def test_another_tenant_or_question_gets_its_own_answer(self) -> None:
        plane = DataPlane(1, cache_bytes=1 << 20)
        pipeline = Doubling()

        async def asked_by(tenant: str, key: bytes) -> bool:
            enter_request(RequestContext(tenant=tenant))
            return (await plane.infer(pipeline, [2], cache_key=lambda: key))[1].cached

        asked = [("a", b"2"), ("b", b"2"), ("a", b"3"), ("a", b"2")]
        assert [await asyncio.create_task(asked_by(*one)) for one in asked] == [False, False, False, True]
        plane.close()

    async def test_it_never_exceeds_its_size(self) -> None:
        plane = DataPlane(1, cache_bytes=20_000)
        pipeline = Doubling()
        for number in range(200):
            await plane.infer(pipeline, [2 * number], cache_key=str(number).encode)
        size, entries = plane.cache_size
        assert 0 < size <= 20_000
        assert 0 < entries < 200
        assert (await plane.infer(pipeline, [199], cache_key=lambda: b"199"))[1].cached, "the newest stay"
        assert not (await plane.infer(pipeline, [0], cache_key=lambda: b"0"))[1].cached, "the oldest leave"
        plane.close()
