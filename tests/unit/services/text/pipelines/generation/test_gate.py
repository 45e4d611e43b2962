from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
import pytest

from services.runtime.batching.lane import Lane, ModelIdentity
from services.runtime.errors import ServiceError
from services.runtime.observability.metrics import ModelMetrics
from services.runtime.request_context import Priority, RequestContext
from services.text.pipelines.generation.gate import SlotGate


@pytest.fixture
def metrics() -> ModelMetrics:
    return ModelMetrics("model", "1")


@pytest.fixture
def lane(metrics: ModelMetrics) -> Lane:
    return Lane(ModelIdentity("model", "1"), metrics)


def call(priority: Priority = Priority.NORMAL, seconds: float | None = None) -> RequestContext:
    context = RequestContext(priority=priority)
    context.deadline = None if seconds is None else context.start + seconds
    return context


async def test_slots_are_handed_on_by_priority_then_arrival(lane: Lane) -> None:
    gate = SlotGate(1, 8)
    await gate.enter(call(), lane)
    order: list[str] = []

    async def wait(name: str, priority: Priority) -> None:
        await gate.enter(call(priority), lane)
        order.append(name)

    waiting = [
        asyncio.create_task(wait(name, priority))
        for name, priority in [("low", Priority.LOW), ("first", Priority.NORMAL), ("second", Priority.NORMAL)]
    ]
    waiting.append(asyncio.create_task(wait("high", Priority.HIGH)))
    await asyncio.sleep(0)
    assert gate.waiting == 4
    for _ in waiting:
        gate.leave(0.1)
        await asyncio.sleep(0)
    assert order == ["high", "first", "second", "low"]
    assert gate.free == 0
    gate.leave(0.1)
    assert gate.free == 1


async def test_whoever_stops_waiting_is_passed_over_and_counted(lane: Lane, metrics: ModelMetrics) -> None:
    gate = SlotGate(1, 8)
    await gate.enter(call(), lane)
    waiting = [asyncio.create_task(gate.enter(call(), lane)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    gate.leave(0.1)
    # The slot is theirs, and they leave before they know: it goes to the next.
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 5)
    assert metrics.drops.items() == {"CANCELLED": 2}
    for one in waiting[:2]:
        with suppress(asyncio.CancelledError):
            await one
    gate.leave(0.1)
    assert (gate.free, gate.waiting) == (1, 0)


async def test_too_many_who_wait_are_told_when_to_come_back(lane: Lane, metrics: ModelMetrics) -> None:
    gate = SlotGate(2, 0)
    await gate.enter(call(), lane)
    gate.leave(4.0)
    await gate.enter(call(), lane)
    await gate.enter(call(), lane)
    with pytest.raises(ServiceError) as refused:
        await gate.enter(call(), lane)
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.reason == "QUEUE_FULL"
    assert refused.value.retry_after_seconds == pytest.approx(2.0)
    assert metrics.refusals.items() == {"QUEUE_FULL": 1}


async def test_a_deadline_that_would_pass_in_the_queue_is_refused_at_once(lane: Lane) -> None:
    gate = SlotGate(1, 8)
    await gate.enter(call(), lane)
    gate.leave(4.0)
    await gate.enter(call(), lane)
    with pytest.raises(ServiceError) as refused:
        await gate.enter(call(seconds=3), lane)
    assert refused.value.reason == "CANNOT_FINISH_IN_TIME"
    patient = asyncio.create_task(gate.enter(call(seconds=60), lane))
    await asyncio.sleep(0)
    gate.leave(4.0)
    await asyncio.wait_for(patient, 5)
