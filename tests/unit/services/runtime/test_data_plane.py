from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from services.runtime.batching.lane import ModelIdentity
from services.runtime.data_plane import DataPlane
from services.runtime.errors import DeadlinePassed, FieldViolation, InvalidRequest, Unavailable
from services.runtime.observability.metrics import Metrics
from services.runtime.observability.usage import UsageMeter
from services.runtime.pipeline import Pipeline, Place, Placement, Prepared, Size
from services.runtime.request_context import Priority, RequestContext, current_request, enter_request

MAIN = threading.main_thread().name


class WordPipeline(Pipeline[str, str, str, str]):
    """Each word of the request is a batch; the reply joins them. Notes on which thread each stage ran."""

    def __init__(self, placement: Placement | None = None) -> None:
        self.placement = placement or Placement()
        self.threads: dict[str, set[str]] = {"prepare": set(), "run": set(), "finish": set()}
        self.ran: list[str] = []

    def prepare(self, request: str) -> Prepared[str]:
        self._note("prepare")
        if not request:
            raise InvalidRequest([FieldViolation("text", "is empty")])
        return Prepared(request.split(), cost=len(request))

    def run(self, batch: str) -> str:
        self._note("run")
        self.ran.append(batch)
        return batch.upper()

    def finish(self, prepared: Prepared[str], outputs: Sequence[str]) -> str:
        self._note("finish")
        return " ".join(outputs)

    def _note(self, stage: str) -> None:
        self.threads[stage].add(threading.current_thread().name.split("_")[0].split("-")[0])


@pytest.fixture
async def plane() -> AsyncIterator[DataPlane]:
    made = DataPlane(2)
    yield made
    made.close()


WHERE = {Place.INLINE: MAIN, Place.THREAD: "prepare", Place.ENGINE: "engine"}


@pytest.mark.parametrize("prepare", list(Place))
@pytest.mark.parametrize("finish", [Place.INLINE, Place.THREAD])
async def test_each_stage_runs_where_its_placement_says(plane: DataPlane, prepare: Place, finish: Place) -> None:
    pipeline = WordPipeline(Placement(prepare, Place.ENGINE, finish))
    reply, _ = await plane.infer(pipeline, "a b c")
    assert reply == "A B C", "in the order of the batches"
    assert pipeline.threads == {"prepare": {WHERE[prepare]}, "run": {"engine"}, "finish": {WHERE[finish]}}


async def test_a_tiny_model_runs_on_the_event_loop_without_a_hop(plane: DataPlane) -> None:
    pipeline = WordPipeline(Placement(run=Place.INLINE))
    assert (await plane.infer(pipeline, "a b c"))[0] == "A B C"
    assert pipeline.threads == {"prepare": {MAIN}, "run": {MAIN}, "finish": {MAIN}}


async def test_a_request_too_large_for_the_event_loop_goes_to_an_engine(plane: DataPlane) -> None:
    class Slow(WordPipeline):
        def run(self, batch: str) -> str:
            time.sleep(0.0002 * len(batch))
            return super().run(batch)

    pipeline = Slow(Placement(run=Place.INLINE))
    await plane.infer(pipeline, "a")
    pipeline.threads["run"].clear()
    await plane.infer(pipeline, "a" * 50)
    assert pipeline.threads["run"] == {"engine"}


async def test_a_pipeline_may_move_large_requests_off_the_loop(plane: DataPlane) -> None:
    class Choosy(WordPipeline):
        def place_of_prepare(self, request: str) -> Place:
            return Place.THREAD if len(request) > 5 else Place.INLINE

    small, large = Choosy(), Choosy()
    await plane.infer(small, "a")
    await plane.infer(large, "a b c d e")
    assert small.threads["prepare"] == {MAIN}
    assert large.threads["prepare"] == {"prepare"}


async def test_batches_of_one_request_run_at_the_same_time(plane: DataPlane) -> None:
    both = threading.Barrier(2)

    class Meeting(WordPipeline):
        def run(self, batch: str) -> str:
            both.wait(timeout=10)  # breaks unless the other batch runs too
            return super().run(batch)

    reply, timings = await plane.infer(Meeting(), "a b")
    assert reply == "A B"
    assert timings.compute_microseconds > 0


async def test_timings_tell_waiting_from_working(plane: DataPlane) -> None:
    class Slow(WordPipeline):
        def prepare(self, request: str) -> Prepared[str]:
            time.sleep(0.02)
            return super().prepare(request)

        def run(self, batch: str) -> str:
            time.sleep(0.01)
            return super().run(batch)

    enter_request(RequestContext())
    _, timings = await plane.infer(Slow(), "a b")
    assert timings.queue_microseconds >= 20_000, "from arrival to the start of the model"
    assert timings.compute_microseconds >= 20_000, "the sum over both runs"


async def test_bad_input_found_while_preparing_never_reaches_an_engine(plane: DataPlane) -> None:
    pipeline = WordPipeline()
    with pytest.raises(InvalidRequest, match="text: is empty"):
        await plane.infer(pipeline, "")
    assert pipeline.ran == []


async def test_an_error_of_the_model_reaches_the_caller_and_the_plane_lives_on(plane: DataPlane) -> None:
    class Broken(WordPipeline):
        def run(self, batch: str) -> str:
            raise ArithmeticError(batch)

    with pytest.raises(ArithmeticError):
        await plane.infer(Broken(), "a b c")
    assert (await plane.infer(WordPipeline(), "x"))[0] == "X"


async def test_a_passed_deadline_is_noticed_before_any_run(plane: DataPlane) -> None:
    enter_request(RequestContext(deadline=time.monotonic() - 1))
    pipeline = WordPipeline()
    with pytest.raises(DeadlinePassed):
        await plane.infer(pipeline, "a")
    assert pipeline.ran == []


async def test_work_whose_deadline_passed_in_the_queue_is_dropped_before_compute() -> None:
    plane = DataPlane(1)
    gate = threading.Event()

    class Gated(WordPipeline):
        def run(self, batch: str) -> str:
            gate.wait(10)
            return super().run(batch)

    first = asyncio.create_task(plane.infer(Gated(), "first"))
    late = WordPipeline()

    async def ask_late() -> str:
        enter_request(RequestContext(deadline=time.monotonic() + 0.05))
        return (await plane.infer(late, "late"))[0]

    second = asyncio.create_task(ask_late())
    await asyncio.sleep(0.06)  # until the second's deadline has passed while it queues
    gate.set()
    assert (await first)[0] == "FIRST"
    with pytest.raises(DeadlinePassed):
        await second
    plane.close()
    assert late.ran == []


async def test_work_whose_caller_left_the_queue_is_dropped_before_compute() -> None:
    plane = DataPlane(1)
    gate = threading.Event()

    class Gated(WordPipeline):
        def run(self, batch: str) -> str:
            gate.wait(10)
            return super().run(batch)

    first = asyncio.create_task(plane.infer(Gated(), "first"))
    left = WordPipeline()
    second = asyncio.create_task(plane.infer(left, "a b c"))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()
    await first
    plane.close()
    assert left.ran == []


async def test_a_busy_engine_leaves_the_event_loop_free(plane: DataPlane) -> None:
    gate = threading.Event()

    class Gated(WordPipeline):
        def run(self, batch: str) -> str:
            gate.wait(10)
            return super().run(batch)

    slow = [asyncio.create_task(plane.infer(Gated(), "a b")) for _ in range(4)]
    inline = WordPipeline(Placement(run=Place.INLINE))
    assert (await asyncio.wait_for(plane.infer(inline, "quick"), 5))[0] == "QUICK"
    gate.set()
    assert [reply for reply, _ in await asyncio.gather(*slow)] == ["A B"] * 4


async def test_stages_on_the_preparation_threads_know_the_call(plane: DataPlane) -> None:
    seen = []

    class Asking(WordPipeline):
        def prepare(self, request: str) -> Prepared[str]:
            seen.append(current_request().request_id)
            return super().prepare(request)

    enter_request(RequestContext(request_id="4711"))
    await plane.infer(Asking(Placement(prepare=Place.THREAD)), "a")
    assert seen == ["4711"]


async def test_closing_waits_for_the_run_in_progress() -> None:
    plane = DataPlane(1)
    started, ended = threading.Event(), threading.Event()

    class Slow(WordPipeline):
        def run(self, batch: str) -> str:
            started.set()
            time.sleep(0.05)
            ended.set()
            return super().run(batch)

    task = asyncio.create_task(plane.infer(Slow(), "a"))
    await asyncio.to_thread(started.wait, 10)
    await asyncio.to_thread(plane.close)
    assert ended.is_set()
    assert (await task)[0] == "A"


async def test_turns_run_on_engines_and_are_never_refused() -> None:
    plane, pipeline = DataPlane(1, maximum_requests=1), WordPipeline()
    plane.lane_of(pipeline, ModelIdentity("words", "1"))
    tickets = await asyncio.gather(
        plane.take_turn(pipeline, "low", Size(), Priority.LOW),
        plane.take_turn(pipeline, "normal", Size(rows=3, cost=5), Priority.NORMAL),
        plane.take_turn(pipeline, "high", Size(), Priority.HIGH),
    )
    assert [ticket.outputs for ticket in tickets] == [["LOW"], ["NORMAL"], ["HIGH"]]
    assert pipeline.threads["run"] == {"engine"}
    assert (tickets[1].rows, plane.admitted_requests) == (3, 0)
    assert all(ticket.compute_seconds > 0 for ticket in tickets)
    plane.close()
    with pytest.raises(Unavailable):
        await plane.take_turn(pipeline, "late", Size(), Priority.HIGH)
    with pytest.raises(Unavailable):
        await plane.prepare(pipeline, "late")


async def test_an_error_in_a_turn_reaches_whoever_waits_for_it(plane: DataPlane) -> None:
    class Broken(WordPipeline):
        def run(self, batch: str) -> str:
            raise ValueError(batch)

    pipeline = Broken()
    plane.lane_of(pipeline, ModelIdentity("words", "1"))
    with pytest.raises(ValueError, match="x"):
        await plane.take_turn(pipeline, "x", Size(), Priority.NORMAL)
    assert plane.admitted_requests == 0


async def test_work_done_in_turns_is_metered_and_counted_as_an_answer_when_it_is_one() -> None:
    usage, metrics = UsageMeter(), Metrics()
    plane, pipeline = DataPlane(1, metrics=metrics.model, usage=usage), WordPipeline()
    plane.lane_of(pipeline, ModelIdentity("words", "1"))
    for answered in (True, False):
        plane.count_answer(pipeline, RequestContext(tenant="studio"), 7, 0.5, answered=answered)
    (record,) = usage.records()
    assert (record.tenant, record.amount) == ("studio", 14)
    assert metrics.model("words", "1").answers == 1
    plane.close()
