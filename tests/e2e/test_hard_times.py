"""A real model service in hard times: thousands of idle connections, storms of cancelled calls, more load than it can
take. It answers the others, and afterwards everything is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2, status_pb2

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.errors import STATUS_DETAILS_KEY
from tests.support.dummy_model import NAME, write_model
from tests.support.processes import service_process

pytestmark = pytest.mark.e2e
REQUEST = pb.EmbedTextRequest(texts=["alien war"])
IDLE_CONNECTIONS = 10_000


class Service:
    """A text service with a slow dummy model: about ten milliseconds a run, one row a run."""

    def __init__(self, channel: grpc.aio.Channel, port: int, process: psutil.Process) -> None:
        self.channel, self.port, self.process = channel, port, process
        self.stub = text_service_pb2_grpc.TextServiceStub(channel)

    async def ask(self, seconds: float = 20.0) -> grpc.StatusCode:
        try:
            await self.stub.EmbedText(REQUEST, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    models = tmp_path / "models"
    write_model(models, work=4_000, batching={"max_batch": 1})
    options: dict[str, Any] = {"model_repository": models, "default_model": NAME, "engines": 1}
    async with service_process("text", bundle_repository=tmp_path / "bundles", **options) as process:
        listening = await process.event("listening")
        await process.event("serving")
        port = listening["port"]
        pid = next(one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid)
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=(("grpc.use_local_subchannel_pool", 1),)
        ) as channel:
            yield Service(channel, port, psutil.Process(pid))


async def test_idle_connections_cost_no_answer_and_are_given_back(service: Service) -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE_CONNECTIONS, files - 500)
    before = service.process.num_fds()
    idle: list[socket.socket] = []
    try:
        for number in range(count):
            idle.append(socket.create_connection(("127.0.0.1", service.port), timeout=10))
            if number % 200 == 0:
                await asyncio.sleep(0.01)
        answers = await asyncio.gather(*(service.ask() for _ in range(20)))
        assert set(answers) == {grpc.StatusCode.OK}
    finally:
        for one in idle:
            one.close()
    until = time.monotonic() + 30
    while service.process.num_fds() > before + 20 and time.monotonic() < until:
        await asyncio.sleep(0.2)
    assert service.process.num_fds() <= before + 20
    assert await service.ask() is grpc.StatusCode.OK


async def test_a_storm_of_cancelled_calls_leaves_nothing_behind(service: Service) -> None:
    async def come_and_go(number: int) -> None:
        call = asyncio.ensure_future(service.ask())
        await asyncio.sleep(number % 7 / 1000)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    async def storm(calls: int) -> int:
        for start in range(0, calls, 100):
            await asyncio.gather(*(come_and_go(number) for number in range(start, start + 100)))
        assert await service.ask() is grpc.StatusCode.OK, "in the middle of the storm and after it"
        return service.process.memory_info().rss

    settled = await storm(1_000)
    afterwards = await storm(4_000)
    assert afterwards < settled * 1.15
    begin = time.monotonic()
    assert await service.ask() is grpc.StatusCode.OK
    assert time.monotonic() - begin < 1, "nobody waits for the work of those who left"


async def test_more_load_than_it_can_take_is_refused_quickly_with_advice_and_the_rest_is_served(
    service: Service,
) -> None:
    assert await service.ask() is grpc.StatusCode.OK
    codes: Counter[str] = Counter()
    refusals: list[tuple[float, grpc.aio.AioRpcError]] = []
    late = 0

    async def caller(until: float) -> None:
        nonlocal late
        while time.monotonic() < until:
            begin = time.monotonic()
            try:
                await service.stub.EmbedText(REQUEST, timeout=0.25)
                codes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                codes[error.code().name] += 1
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    refusals.append((time.monotonic() - begin, error))
                    await asyncio.sleep(0.2)  # about 500 calls a second, six times what it can do
                else:
                    late += 1

    await asyncio.gather(*(caller(time.monotonic() + 4) for _ in range(100)))
    assert codes["OK"] > 100, codes
    assert refusals, codes
    assert late < codes["OK"], codes
    seconds = sorted(duration for duration, _ in refusals)
    assert seconds[len(seconds) // 2] < 0.1, "a refusal is quicker than the answer would have been"
    details = {type(one).DESCRIPTOR.name: one for one in details_of(refusals[0][1])}
    assert details["ErrorInfo"].reason == "CANNOT_FINISH_IN_TIME"
    assert details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    assert details["QuotaFailure"].violations[0].description
    assert await service.ask() is grpc.StatusCode.OK


def details_of(error: grpc.aio.AioRpcError) -> list[Any]:
    trailers: dict[str, Any] = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers[STATUS_DETAILS_KEY])
    found = []
    for packed in status.details:
        message = getattr(error_details_pb2, packed.TypeName().rsplit(".", 1)[1])()
        packed.Unpack(message)
        found.append(message)
    return found
