"""Readers who share a model, wait, leave or dawdle; all through a running service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from marquee.common.v1 import model_repository_pb2, model_repository_pb2_grpc, usage_pb2, usage_pb2_grpc
from marquee.text.v1 import generation_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.clients import failure
from tests.support.language_models import KINDS, NEVER, RECURRENT, write_decoder, write_recurrent
from tests.support.servers import RunningServer, running

Stub: TypeAlias = "text_service_pb2_grpc.TextServiceAsyncStub"
each_kind = pytest.mark.parametrize("model", KINDS)
# A connection that takes little of what nobody reads.
NARROW = (("grpc.http2.lookahead_bytes", 4_096), ("grpc.http2.bdp_probe", 0))
# Never finished while a test looks at it.
LONG = 2_048


@dataclass(frozen=True)
class Service:
    """A running text service with two language models."""

    server: RunningServer

    @property
    def stub(self) -> Stub:
        return text_service_pb2_grpc.TextServiceStub(self.server.channel)

    def call(self, prompt: str = "A retired", model: str = RECURRENT, tenant: str = "", **options: Any) -> Any:
        """Return a running call."""
        request = pb.GenerateTextRequest(prompt=prompt, model=model, options=pb.GenerationOptions(**options))
        metadata = (("x-marquee-tenant", tenant),) if tenant else ()
        return self.stub.GenerateText(request, timeout=60, metadata=metadata)

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value; 0 before it was first counted."""
        return self.server.server.telemetry.metrics.registry.get_sample_value(name, labels) or 0.0


Start: TypeAlias = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def start(models: Path, tmp_path: Path) -> Start:
    """Run the service with settings of the test's own."""

    @asynccontextmanager
    async def run(channel_options: Sequence[tuple[str, object]] = (), **settings: Any) -> AsyncIterator[Service]:
        write_decoder(models, end=NEVER, context=2 * LONG)
        write_recurrent(models, end=NEVER)
        chosen = TextSettings(
            port=0, model_repository=models, bundle_repository=tmp_path, default_model=RECURRENT, **settings
        )
        async with running(build(chosen), chosen, channel_options) as server:
            yield Service(server)

    return run


async def read(call: Any) -> Sequence[pb.GenerateTextResponse]:
    replies = []
    while (reply := await call.read()) is not grpc.aio.EOF:
        replies.append(reply)
    return replies


async def text_of(call: Any) -> str:
    return "".join(reply.text for reply in await read(call))


async def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def begun(service: Service, **options: Any) -> Any:
    """Return a call that holds a slot: it is not read, and its connection is narrow."""
    call = service.call(max_tokens=LONG, alternatives=20, **options)
    await call.read()
    return call


@each_kind
async def test_a_reader_who_leaves_frees_the_slot_at_once_and_is_counted(start: Start, model: str) -> None:
    async with start(NARROW, generation_slots=1) as service:
        leaving = await begun(service, model=model)
        waiting = asyncio.create_task(read(service.call(model=model, max_tokens=5)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        leaving.cancel()
        replies = await asyncio.wait_for(waiting, 10)
        assert replies[-1].usage.generated_tokens == 5
        dropped = "marquee_model_drops_total"
        await eventually(lambda: service.metric(dropped, model=model, version="1", reason="CANCELLED") == 1)


async def test_a_deadline_ends_a_text_and_is_counted_as_one(start: Start) -> None:
    async with start(generation_slots=1) as service:
        request = pb.GenerateTextRequest(
            prompt="A", model=RECURRENT, options=pb.GenerationOptions(max_tokens=LONG, alternatives=20)
        )
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read(service.stub.GenerateText(request, timeout=0.2))
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await text_of(service.call(max_tokens=5))
        dropped = "marquee_model_drops_total"
        await eventually(lambda: service.metric(dropped, model=RECURRENT, version="1", reason="DEADLINE") == 1)


async def test_past_the_queue_bound_calls_are_refused_with_the_time_to_retry(start: Start) -> None:
    async with start(NARROW, generation_slots=1, maximum_waiting_generations=1) as service:
        holding = await begun(service)
        waiting = asyncio.create_task(text_of(service.call(max_tokens=5)))
        await asyncio.sleep(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read(service.call())
        refused = failure(error.value)
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.reason == "QUEUE_FULL"
        assert refused.retry_seconds is not None
        assert refused.metadata["model"] == RECURRENT
        refusals = "marquee_model_refusals_total"
        assert service.metric(refusals, model=RECURRENT, version="1", reason="QUEUE_FULL") == 1
        holding.cancel()
        assert await waiting


async def test_a_slow_reader_pauses_alone_and_loses_nothing(start: Start) -> None:
    options: dict[str, Any] = {"max_tokens": 1_000, "alternatives": 20, "temperature": 0}
    async with start(NARROW) as service:
        slow = service.call(**options)
        first = await slow.read()
        others = await asyncio.gather(*(read(service.call(**options)) for _ in range(8)))
        rest = await read(slow)
        texts = ["".join(reply.text for reply in replies) for replies in (*others, [first, *rest])]
        assert set(texts) == {texts[0]}
        assert len(texts[0]) > 500
        tokens = sum(len(reply.tokens) for reply in [first, *rest])
        assert tokens == rest[-1].usage.generated_tokens == 1_000


async def test_a_reader_who_reads_nothing_is_given_up(start: Start) -> None:
    async with start(NARROW, generation_slots=1, stalled_reader_seconds=0.3) as service:
        stalled = await begun(service)
        assert await asyncio.wait_for(text_of(service.call(max_tokens=3)), 20)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read(stalled)
        refused = failure(error.value)
        assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "READER_TOO_SLOW")
        dropped = "marquee_model_drops_total"
        assert service.metric(dropped, model=RECURRENT, version="1", reason="READER_TOO_SLOW") == 1


async def test_tokens_are_metered_by_tenant(start: Start) -> None:
    async with start() as service:
        await read(service.call("abc", tenant="studio", max_tokens=6))
        await read(service.call("abcd", tenant="studio", max_tokens=10))
        stub = usage_pb2_grpc.UsageServiceStub(service.server.channel)
        exported: Any = stub.ExportUsage(usage_pb2.ExportUsageRequest(tenant="studio"), timeout=10)
        (record,) = [record async for response in exported for record in response.records]
        assert (record.model, record.version) == (RECURRENT, "1")
        assert (record.call_count, record.unit, record.amount) == (2, "tokens", 4 + 6 + 5 + 10)


async def test_steps_are_shared_runs(start: Start) -> None:
    async with start() as service:
        await asyncio.gather(*(read(service.call(max_tokens=200, seed=k)) for k in range(8)))
        runs = service.metric("marquee_model_run_duration_seconds_count", model=RECURRENT, version="1")
        assert runs < 8 * 200 / 2


async def test_a_model_whose_rows_influence_each_other_gives_the_same_texts_all_the_same(
    start: Start, models: Path
) -> None:
    write_decoder(models, "mixing-model", end=NEVER, across_rows=True)
    async with start() as service:
        calls: list[dict[str, Any]] = [{"model": "mixing-model", "max_tokens": 40, "seed": k} for k in range(4)]
        alone = [await text_of(service.call(**one)) for one in calls]
        assert await asyncio.gather(*(text_of(service.call(**one)) for one in calls)) == alone


async def test_states_of_16_bits_are_carried_on_as_they_are(start: Start, models: Path) -> None:
    write_decoder(models, "half-model", end=NEVER, half_states=True)
    async with start() as service:
        calls: list[dict[str, Any]] = [{"model": "half-model", "max_tokens": 90, "seed": k} for k in range(3)]
        alone = [await text_of(service.call(**one)) for one in calls]
        assert len(set(alone)) == 3
        assert await asyncio.gather(*(text_of(service.call(**one)) for one in calls)) == alone


async def test_a_model_that_sees_what_is_masked_is_refused(start: Start, models: Path) -> None:
    write_decoder(models, "seeing-model", ignore_mask=True, required=False)
    async with start() as service:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read(service.call(model="seeing-model"))
        assert failure(error.value).reason == "MODEL_NOT_READY"


@each_kind
async def test_an_unload_waits_for_texts_in_the_making_and_gives_the_model_back(start: Start, model: str) -> None:
    async with start() as service:
        call = service.call(model=model, max_tokens=100, seed=1)
        first = await call.read()
        stub = model_repository_pb2_grpc.ModelRepositoryServiceStub(service.server.channel)
        unloading: Awaitable[Any] = stub.UnloadModel(model_repository_pb2.UnloadModelRequest(name=model), timeout=30)
        rest = await text_of(call)
        await unloading
        await stub.LoadModel(model_repository_pb2.LoadModelRequest(name=model), timeout=30)
        assert await text_of(service.call(model=model, max_tokens=100, seed=1)) == first.text + rest


async def test_the_service_drains_what_is_in_the_making(start: Start) -> None:
    async with start() as service:
        call = service.call(max_tokens=300, seed=1)
        await call.read()
        stopping = asyncio.create_task(service.server.server.stop())
        replies = await read(call)
        await stopping
        assert replies[-1].finish_reason == pb.FINISH_REASON_MAX_TOKENS
