from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic_settings import SettingsConfigDict

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.server import NOTICE_SECONDS, ServiceDefinition
from services.runtime.settings import ServiceSettings
from services.runtime.startup import AddressInUse
from tests.support.clients import health, outcome_of, reflected_services
from tests.support.dummy_model import write_model
from tests.support.dummy_service import DummyService
from tests.support.servers import running

REQUEST = pb.ClassifyTextRequest(texts=["x"])


class Settings(ServiceSettings):
    """Nothing from the environment of whoever runs the tests."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_NOBODY_")


def definition(problems: list[str] | None = None, events: list[str] | None = None) -> ServiceDefinition:
    """A service of nothing."""
    noted = [] if events is None else events

    async def start() -> list[str]:
        noted.append("start")
        return problems or []

    async def stop() -> None:
        noted.append("stop")

    return ServiceDefinition("nothing", ["marquee.text.v1.TextService"], lambda server: None, start, stop)


async def test_a_service_without_problems_serves() -> None:
    events: list[str] = []
    async with running(definition(events=events), Settings()) as server:
        assert server.server.port > 0
        for service in ("", "marquee.text.v1.TextService"):
            assert await health(server.channel, service) == "SERVING"
    assert events == ["start", "stop"]


async def test_a_service_with_problems_listens_but_does_not_serve() -> None:
    async with running(definition(["no model"]), Settings()) as server:
        for service in ("", "marquee.text.v1.TextService"):
            assert await health(server.channel, service) == "NOT_SERVING"


async def test_reflection_lists_every_service() -> None:
    async with running(definition(), Settings()) as server:
        assert await reflected_services(server.channel) == {
            "marquee.text.v1.TextService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }


async def test_a_taken_port_is_an_error_that_says_so() -> None:
    async with running(definition(), Settings()) as server:
        with pytest.raises(AddressInUse, match=f"cannot listen on {server.address}: the port is taken"):
            async with running(definition(), Settings(port=server.server.port)):
                pass


async def test_an_address_of_another_machine_is_an_error_that_says_so() -> None:
    with pytest.raises(AddressInUse, match=r"192\.0\.2\.1:0: .* not this machine's"):
        async with running(definition(), Settings(host="192.0.2.1")):
            pass


@pytest.mark.parametrize("limit", [1 << 10, 1 << 30])
async def test_every_message_limit_that_the_settings_allow_works(limit: int) -> None:
    async with running(definition(), Settings(maximum_message_bytes=limit)) as server:
        assert await health(server.channel) == "SERVING"


class TestDrain:
    @pytest.fixture
    def dummy(self, models: Path) -> DummyService:
        write_model(models)
        return DummyService(models, drain_seconds=30)

    async def test_health_turns_first_calls_in_flight_finish_and_new_ones_are_refused(
        self, dummy: DummyService
    ) -> None:
        started, gate = asyncio.Event(), asyncio.Event()

        async def wait(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            started.set()
            await gate.wait()
            return pb.ClassifyTextResponse()

        dummy.servicer.script = wait
        async with dummy.running() as server:
            stub = text_service_pb2_grpc.TextServiceStub(server.channel)
            watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            in_flight = asyncio.create_task(outcome_of(stub.ClassifyText(REQUEST)))
            await started.wait()
            stopping = asyncio.create_task(server.server.stop())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert not stopping.done()
            await asyncio.sleep(NOTICE_SECONDS + 0.1)
            refused = await outcome_of(stub.ClassifyText(REQUEST, timeout=10))
            assert refused.code is grpc.StatusCode.UNAVAILABLE
            assert not stopping.done()
            gate.set()
            assert (await in_flight).code is grpc.StatusCode.OK
            await asyncio.wait_for(stopping, 10)

    async def test_callers_who_watch_the_health_lose_no_call(self, dummy: DummyService) -> None:
        codes: list[grpc.StatusCode] = []
        config = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}})
        options = (("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))

        async def call(stub: Any) -> None:
            while not codes or codes[-1] is grpc.StatusCode.OK:
                codes.append((await outcome_of(stub.ClassifyText(REQUEST, timeout=10))).code)

        async with (
            dummy.running() as server,
            grpc.aio.insecure_channel(server.address, options=options) as channel,
        ):
            stub = text_service_pb2_grpc.TextServiceStub(channel)
            callers = [asyncio.create_task(call(stub)) for _ in range(30)]
            while codes.count(grpc.StatusCode.OK) < 200:
                await asyncio.sleep(0.02)
            await server.server.stop()
            await asyncio.wait_for(asyncio.gather(*callers), 10)
        assert codes.count(grpc.StatusCode.OK) > 100
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}

    async def test_an_open_watch_does_not_hold_the_drain_up(self, dummy: DummyService) -> None:
        async with dummy.running() as server:
            watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            await asyncio.wait_for(server.server.stop(), 10)

    async def test_calls_beyond_the_grace_period_are_cancelled(self, models: Path) -> None:
        write_model(models)
        dummy = DummyService(models, drain_seconds=0.05)
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def wait(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError("never reached")

        dummy.servicer.script = wait
        async with dummy.running() as server:
            stub = text_service_pb2_grpc.TextServiceStub(server.channel)
            in_flight = asyncio.create_task(outcome_of(stub.ClassifyText(REQUEST)))
            await started.wait()
            await asyncio.wait_for(server.server.stop(), 10)
            assert cancelled.is_set()
            assert (await in_flight).code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}

    async def test_stopping_twice_is_harmless(self, dummy: DummyService) -> None:
        async with dummy.running() as server:
            await server.server.stop()
