from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic_settings import SettingsConfigDict

from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ServiceSettings
from services.runtime.startup import AddressInUse
from tests.support.clients import health, outcome_of, reflected_services
from tests.support.dummy_model import NAME, write_model
from tests.support.dummy_service import DummyPipeline, DummyService
from tests.support.processes import service_process
from tests.support.servers import running

CONTRACT = "marquee.text.v1.TextService"


class Settings(ServiceSettings):
    """Nothing from the environment of whoever runs the tests."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_NOBODY_")


@asynccontextmanager
async def channel_to(port: int) -> AsyncIterator[grpc.aio.Channel]:
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield channel


def definition(start: Any = None) -> ServiceDefinition:
    async def nothing() -> list[str]:
        return []

    async def stop() -> None:
        return None

    return ServiceDefinition("nothing", [CONTRACT], lambda server: None, start or nothing, stop)


async def test_it_answers_as_the_service_itself_and_knows_nothing_else() -> None:
    async with running(definition(), Settings(health_port=0)) as server, channel_to(server.server.probes.port) as probe:
        for service in ("", CONTRACT, "liveness"):
            assert await health(probe, service) == "SERVING"
        assert await health(server.channel, "liveness") == "SERVING", "where there is no such port, it is asked here"
        stub = health_pb2_grpc.HealthStub(probe)
        unknown = await outcome_of(stub.Check(health_pb2.HealthCheckRequest(service="marquee.Nothing")))
        assert unknown.code is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
            await reflected_services(probe)
        with pytest.raises(grpc.aio.AioRpcError, match="answers Check only"):
            await stub.Watch(health_pb2.HealthCheckRequest()).read()


async def test_without_the_setting_nothing_more_listens() -> None:
    async with running(definition(), Settings()) as server:
        assert server.server.probes.port == 0


async def test_while_it_loads_and_when_it_cannot_serve_it_lives() -> None:
    gate = asyncio.Event()

    async def start() -> list[str]:
        await gate.wait()
        return ["the model is corrupt"]

    server = ServiceServer(definition(start), Settings(health_port=0))
    starting = asyncio.create_task(server.start())
    while not server.probes.port:
        await asyncio.sleep(0.01)
    async with channel_to(server.probes.port) as probe:
        assert [await health(probe, name) for name in ("", CONTRACT, "liveness")] == [
            "NOT_SERVING",
            "NOT_SERVING",
            "SERVING",
        ]
        gate.set()
        await starting
        assert [await health(probe, name) for name in ("", "liveness")] == ["NOT_SERVING", "SERVING"]
    await server.stop()


async def test_while_it_drains_it_is_not_ready_and_lives() -> None:
    gate = asyncio.Event()

    async def start() -> list[str]:
        return []

    async def stop() -> None:
        await gate.wait()

    server = ServiceServer(
        ServiceDefinition("nothing", [CONTRACT], lambda _: None, start, stop), Settings(health_port=0)
    )
    await server.start()
    async with channel_to(server.probes.port) as probe:
        assert await health(probe) == "SERVING"
        stopping = asyncio.create_task(server.stop())
        while await health(probe) == "SERVING":
            await asyncio.sleep(0.01)
        assert await health(probe, "liveness") == "SERVING"
        gate.set()
        await stopping


async def test_only_engines_that_hang_end_its_life_and_only_as_long_as_they_do(models: Path) -> None:
    write_model(models)
    gate = threading.Event()

    class HangingPipeline(DummyPipeline):
        """Hangs while the gate is shut."""

        def run(self, batch: Any) -> Any:
            gate.wait()
            return super().run(batch)

    dummy = DummyService(
        models, default_model=NAME, pipeline=HangingPipeline, hung_engine_seconds=0.2, health_port=0, engines=1
    )
    async with dummy.running() as server, channel_to(server.server.probes.port) as probe:
        assert await health(probe, "liveness") == "SERVING"
        serving, pipeline = await dummy.servicer.vectors.get("")
        hanging = asyncio.create_task(dummy.service.plane.infer(pipeline, ["x"], model=serving.identity))
        async with asyncio.timeout(20):
            while await health(probe, "liveness") == "SERVING":
                await asyncio.sleep(0.05)
            gate.set()
            while await health(probe, "liveness") != "SERVING":
                await asyncio.sleep(0.05)
        await hanging


async def test_a_taken_port_is_an_error_that_names_the_setting() -> None:
    async with running(definition(), Settings(health_port=0)) as server:
        taken = server.server.probes.port
        with pytest.raises(AddressInUse, match=f":{taken} for health: .* another health_port"):
            async with running(definition(), Settings(health_port=taken)):
                pass


async def test_many_who_ask_nothing_cannot_lock_the_probes_out() -> None:
    async with running(definition(), Settings(health_port=0)) as server, channel_to(server.server.probes.port) as probe:
        stub = health_pb2_grpc.HealthStub(probe)
        open_calls = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(300)]
        assert await health(probe, "liveness") == "SERVING"
        large = await outcome_of(stub.Check(health_pb2.HealthCheckRequest(service="x" * 10_000)))
        assert large.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in open_calls:
            call.cancel()


async def test_a_process_answers_from_before_it_serves_until_it_ends(models: Path) -> None:
    write_model(models)
    async with service_process("text", model_repository=models, default_model=NAME, health_port=0) as process:
        port = (await process.event("health port"))["port"]
        async with channel_to(port) as probe:
            assert await health(probe, "liveness") == "SERVING"
            await process.event("serving")
            assert await health(probe) == "SERVING"
        process.signal(signal.SIGTERM)
        assert await process.exit_code() == 0
    events = [line for line in process.lines if line.startswith("{")]
    assert next(i for i, line in enumerate(events) if '"health port"' in line) < next(
        i for i, line in enumerate(events) if '"listening"' in line
    )
