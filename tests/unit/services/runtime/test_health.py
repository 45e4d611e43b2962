from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.health import Health
from tests.support.clients import health, outcome_of


@pytest.fixture
def state() -> Health:
    return Health(["marquee.text.v1.TextService"])


@pytest.fixture
async def channel(state: Health) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as made:
        yield made
    await server.stop(None)


@pytest.mark.parametrize("service", ["", "marquee.text.v1.TextService"])
async def test_a_process_serves_when_told_so_and_not_before(
    state: Health, channel: grpc.aio.Channel, service: str
) -> None:
    assert await health(channel, service) == "NOT_SERVING"
    state.set_serving(True)
    assert await health(channel, service) == "SERVING"
    state.set_serving(False)
    assert await health(channel, service) == "NOT_SERVING"


async def test_draining_is_for_good(state: Health, channel: grpc.aio.Channel) -> None:
    state.set_serving(True)
    state.drain()
    state.set_serving(True)
    assert await health(channel) == "NOT_SERVING"


async def test_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    answered = await outcome_of(stub.Check(health_pb2.HealthCheckRequest(service="marquee.Nothing")))
    assert answered.code is grpc.StatusCode.NOT_FOUND


async def watch(channel: grpc.aio.Channel, service: str, seen: asyncio.Queue[str]) -> grpc.StatusCode:
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service))
    async for response in call:
        await seen.put(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))
    code: grpc.StatusCode = await call.code()
    return code


async def test_a_watch_tells_each_change_and_ends_when_the_process_drains(
    state: Health, channel: grpc.aio.Channel
) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(watch(channel, "marquee.text.v1.TextService", seen))
    assert await asyncio.wait_for(seen.get(), 10) == "NOT_SERVING"
    state.set_serving(True)
    assert await asyncio.wait_for(seen.get(), 10) == "SERVING"
    state.set_serving(True)
    state.drain()
    assert await asyncio.wait_for(seen.get(), 10) == "NOT_SERVING"
    assert await asyncio.wait_for(watching, 10) is grpc.StatusCode.OK
    assert seen.empty(), "a status that did not change is not sent again"


async def test_a_watch_of_an_unknown_service_waits_for_it_and_ends_too(
    state: Health, channel: grpc.aio.Channel
) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(watch(channel, "marquee.Nothing", seen))
    assert await asyncio.wait_for(seen.get(), 10) == "SERVICE_UNKNOWN"
    state.drain()
    assert await asyncio.wait_for(watching, 10) is grpc.StatusCode.OK


async def test_many_watches_hear_the_same(state: Health, channel: grpc.aio.Channel) -> None:
    queues: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in range(5)]
    watches = [asyncio.create_task(watch(channel, "", queue)) for queue in queues]
    assert [await asyncio.wait_for(queue.get(), 10) for queue in queues] == ["NOT_SERVING"] * 5
    state.set_serving(True)
    assert [await asyncio.wait_for(queue.get(), 10) for queue in queues] == ["SERVING"] * 5
    state.drain()
    assert await asyncio.wait_for(asyncio.gather(*watches), 10) == [grpc.StatusCode.OK] * 5
