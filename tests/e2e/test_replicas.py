"""Replicas that come, go and are replaced under load, seen from the orchestrator's channels: no call is lost."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.cli.ports import free_ports
from services.orchestrator.channels import FAMILIES, Channels
from services.orchestrator.mesh import Mesh
from services.runtime.server import ServiceServer
from tests.support.dummy_model import NAME, write_model
from tests.support.dummy_service import DummyService
from tests.support.name_server import name_server
from tests.support.processes import service_process

_CALLERS = 8
_PAUSE_SECONDS = 0.005
_PATIENCE_SECONDS = 240

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_new_replicas_get_their_share_soon_after_their_names_are_known(models: Path) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    answered: Counter[str] = Counter()
    failed: list[grpc.StatusCode] = []
    stop = asyncio.Event()

    def replica(host: str) -> ServiceServer:
        dummy = DummyService(models, host=host, port=port, maximum_connection_age_seconds=1.0, engines=1)

        async def answer(request: pb.ClassifyTextRequest) -> pb.ClassifyTextResponse:
            answered[host] += 1
            return pb.ClassifyTextResponse()

        dummy.servicer.script = answer
        return ServiceServer(dummy.definition(), dummy.settings)

    async def call(stub: text_service_pb2_grpc.TextServiceAsyncStub) -> None:
        while not stop.is_set():
            try:
                await stub.ClassifyText(pb.ClassifyTextRequest(texts=["x"]), timeout=20)
            except grpc.aio.AioRpcError as error:
                failed.append(error.code())
            await asyncio.sleep(_PAUSE_SECONDS)

    async def some_answers(host: str, count: int) -> None:
        goal = answered[host] + count
        while answered[host] < goal:
            await asyncio.sleep(0.02)

    write_model(models)
    replicas = [replica(f"127.0.0.{number}") for number in (2, 3, 4)]
    opened: list[grpc.aio.Channel] = []
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(name_server("127.0.0.2"))
        await replicas[0].start()
        channels = Channels({"text": names.target(port)}, None, lambda new: opened.append(new["text"]))
        stub = text_service_pb2_grpc.TextServiceStub(opened[0])
        for one in replicas:
            stack.push_async_callback(one.stop)
        stack.push_async_callback(channels.close)
        async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as callers:
            for _ in range(_CALLERS):
                callers.create_task(call(stub))
            await some_answers("127.0.0.2", 100)
            for one in replicas[1:]:
                await one.start()
            names.addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
            for host in names.addresses:
                await some_answers(host, 20)
            # The last in the list goes again, as in a scale-down.
            names.addresses = ["127.0.0.2", "127.0.0.3"]
            await replicas[2].stop()
            await some_answers("127.0.0.3", 100)
            stop.set()
    assert failed == []


async def test_a_rolling_restart_under_load_loses_no_call(models: Path) -> None:
    write_model(models)
    ports = free_ports("127.0.0.1", 2)
    options = {
        "model_repository": models,
        "default_model": NAME,
        "maximum_connection_age_seconds": 1,
        "access_log": "all",
    }
    stop = asyncio.Event()
    answered, failed = Counter[str](), Counter[str]()

    async def call(mesh: Mesh) -> None:
        while not stop.is_set():
            try:
                await mesh.embed_texts(["alien war"], 30)
                answered["all"] += 1
            except Exception as error:
                failed[str(error)] += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def some_more(count: int) -> None:
        goal = answered["all"] + count
        while answered["all"] < goal:
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(service_process("text", port=port, **options)) for port in ports]
        for process in running:
            await process.event("serving")
        address = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        mesh = Mesh(dict.fromkeys(FAMILIES, address))
        stack.push_async_callback(mesh.close)
        async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as callers:
            for _ in range(_CALLERS):
                callers.create_task(call(mesh))
            await some_more(200)
            for port, process in zip(ports, running, strict=True):
                process.signal(signal.SIGTERM)
                assert await process.exit_code() == 0
                await some_more(100)
                successor = await stack.enter_async_context(service_process("text", port=port, **options))
                await successor.event("serving")
                # The channel has found it: the next one may go, as Kubernetes' preStop sees to.
                await successor.event("call")
                await some_more(200)
            stop.set()
    assert failed == Counter()
