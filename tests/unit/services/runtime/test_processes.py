"""The life of real service processes: `python -m services.<family>.main`, signals and exit codes."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.server import NOTICE_SECONDS
from tests.support.clients import health, outcome_of, reflected_services
from tests.support.dummy_model import NAME, flip_byte, write_model
from tests.support.processes import service_process

CONTRACTS = {
    "text": "marquee.text.v1.TextService",
    "vision": "marquee.vision.v1.VisionService",
    "classical": "marquee.classical.v1.ClassicalService",
}


def channel_to(log_line: dict[str, Any]) -> grpc.aio.Channel:
    options = (("grpc.use_local_subchannel_pool", 1),)
    return grpc.aio.insecure_channel(f"127.0.0.1:{log_line['port']}", options=options)


@pytest.mark.parametrize("service", CONTRACTS)
async def test_a_service_starts_tells_what_it_serves_and_ends_cleanly(
    service: str, models: Path, tmp_path: Path
) -> None:
    # Without models: the two that need some are not ready, but live, answer and end like any other.
    async with service_process(service, model_repository=models, bundle_repository=tmp_path) as process:
        listening = await process.event("listening")
        ready = service == "classical"
        await process.event("serving" if ready else "not serving")
        async with channel_to(listening) as channel:
            assert await health(channel) == ("SERVING" if ready else "NOT_SERVING")
            assert await health(channel, CONTRACTS[service]) == ("SERVING" if ready else "NOT_SERVING")
            assert {CONTRACTS[service], "marquee.common.v1.ModelRepositoryService"} <= await reflected_services(channel)
        process.signal(signal.SIGTERM)
        assert await process.exit_code() == 0
    assert not [line for line in process.lines if "Traceback" in line]


async def test_a_call_in_flight_survives_sigterm_and_new_calls_are_refused(models: Path) -> None:
    write_model(models, work=20_000, batching={"max_batch": 1})
    options = {"model_repository": models, "default_model": NAME, "maximum_message_bytes": 1 << 20}
    async with service_process("text", **options) as process:
        async with channel_to(await process.event("listening")) as channel:
            await process.event("serving")
            stub = text_service_pb2_grpc.TextServiceStub(channel)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            count = await _texts_for_seconds(stub, 3)
            in_flight = stub.EmbedText(pb.EmbedTextRequest(texts=["alien"] * count))
            assert await health(channel) == "SERVING"  # the same connection: the call above has arrived
            process.signal(signal.SIGTERM)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert not in_flight.done(), "health turned while the call was still running"
            await asyncio.sleep(NOTICE_SECONDS + 0.2)  # those who watch have that long to go elsewhere
            refused = await outcome_of(stub.EmbedText(pb.EmbedTextRequest(texts=["alien"]), timeout=10))
            assert refused.code is grpc.StatusCode.UNAVAILABLE
            answered = await outcome_of(in_flight)
            assert answered.code is grpc.StatusCode.OK
            assert len(answered.reply.vectors) == count
        assert await process.exit_code() == 0


async def _texts_for_seconds(stub: text_service_pb2_grpc.TextServiceAsyncStub, seconds: float) -> int:
    """Return how many texts of one word keep the only engine busy for about that long; at most 256."""
    start = time.monotonic()
    await stub.EmbedText(pb.EmbedTextRequest(texts=["alien"] * 4))
    return min(256, round(4 * seconds / (time.monotonic() - start)) + 16)


async def test_a_corrupt_model_file_at_start_is_told_and_the_process_lives(models: Path) -> None:
    write_model(models)
    flip_byte(write_model(models, "broken") / "model.onnx")
    async with service_process("text", model_repository=models, default_model=NAME) as process:
        listening = await process.event("listening")
        refused = await process.event("model refused")
        assert (refused["model"], refused["level"]) == ("broken", "error")
        assert "model.onnx is corrupt" in refused["reason"]
        not_serving = await process.event("not serving")
        assert "broken/1" in not_serving["reason"]
        async with channel_to(listening) as channel:
            assert await health(channel) == "NOT_SERVING"
            stub = text_service_pb2_grpc.TextServiceStub(channel)
            assert (await outcome_of(stub.EmbedText(pb.EmbedTextRequest(texts=["alien"])))).code is grpc.StatusCode.OK
        process.signal(signal.SIGINT)
        assert await process.exit_code() == 0, "Ctrl-C ends it as cleanly as SIGTERM"


async def test_a_taken_port_ends_the_process_with_one_clear_line(models: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with service_process("text", port=port, model_repository=models) as process:
            assert await process.exit_code() == 1
    assert process.lines[-1] == (
        f"marquee text: cannot listen on 127.0.0.1:{port}: the port is taken or the address is not this machine's"
    )
    assert not [line for line in process.lines if "Traceback" in line]


@pytest.mark.parametrize("service", ["text", "orchestrator"])
async def test_a_wrong_setting_ends_the_process_with_its_name_and_what_is_allowed(service: str) -> None:
    async with service_process(service, port=70_000, drain_seconds="soon") as process:
        assert await process.exit_code() == 1
    assert len(process.lines) == 2
    wrong = f"marquee {service}: MARQUEE_{service.upper()}"
    assert process.lines[0] == f"{wrong}_PORT: Input should be less than or equal to 65535"
    assert process.lines[1].startswith(f"{wrong}_DRAIN_SECONDS: Input should be a valid number")
