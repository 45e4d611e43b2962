"""Connections that end with age: callers notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from tests.support.clients import outcome_of
from tests.support.dummy_service import STREAM, DummyService

REQUEST = pb.ClassifyTextRequest(texts=["x"])


async def count(request: pb.ClassifyTextRequest) -> AsyncIterator[pb.ClassifyTextResponse]:
    while True:
        yield pb.ClassifyTextResponse()
        await asyncio.sleep(0.02)


def stream(channel: grpc.aio.Channel) -> Any:
    method = channel.unary_stream(STREAM, pb.ClassifyTextRequest.SerializeToString, pb.ClassifyTextResponse.FromString)
    return method(REQUEST, timeout=20)


async def test_steady_calls_lose_none_over_many_ages(models: Path) -> None:
    dummy = DummyService(models, maximum_connection_age_seconds=0.2)
    peers: set[str] = set()
    answer = dummy.servicer.ClassifyText

    async def note_peer(request: pb.ClassifyTextRequest, context: Any) -> pb.ClassifyTextResponse:
        peers.add(context.peer())
        await asyncio.sleep(0.02)  # so that calls are in flight whenever a connection ends
        return await answer(request, context)

    dummy.servicer.ClassifyText = note_peer  # type: ignore[method-assign]
    failures: list[str] = []

    async def call(stub: Any) -> None:
        end = time.monotonic() + 2
        while time.monotonic() < end or len(peers) < 4:
            # The channel has no retry policy; gRPC sends again by itself what it knows that no server has seen.
            ended = await outcome_of(stub.ClassifyText(REQUEST, timeout=20))
            if ended.code is not grpc.StatusCode.OK:
                failures.append(f"{ended.code.name}: {ended.message}")

    async with dummy.running() as server:
        stub = text_service_pb2_grpc.TextServiceStub(server.channel)
        async with asyncio.timeout(30):
            await asyncio.gather(*(call(stub) for _ in range(8)))
    assert failures == []
    assert len(peers) >= 4


async def test_a_stream_outlives_its_connections_age_unless_the_grace_is_over(models: Path) -> None:
    dummy = DummyService(models, maximum_connection_age_seconds=0.2)
    dummy.servicer.stream_script = count
    async with dummy.running() as server:
        call, end = stream(server.channel), time.monotonic() + 1.5
        while time.monotonic() < end:
            assert isinstance(await call.read(), pb.ClassifyTextResponse)
        call.cancel()

    strict = DummyService(models, maximum_connection_age_seconds=0.2, maximum_connection_grace_seconds=0.2)
    strict.servicer.stream_script = count
    async with strict.running() as server:
        call = stream(server.channel)
        while not call.done():
            with contextlib.suppress(grpc.aio.AioRpcError):
                await call.read()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
