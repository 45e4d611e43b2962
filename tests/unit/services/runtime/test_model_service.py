from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import grpc
import onnxruntime
import pytest

from marquee.common.v1 import model_repository_pb2, model_repository_pb2_grpc
from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.server import ServiceServer
from tests.support.clients import Outcome, health, outcome_of
from tests.support.dummy_model import NAME, edit_manifest, flip_byte, write_model
from tests.support.dummy_service import DummyService


async def embed(channel: grpc.aio.Channel, model: str = "") -> Outcome:
    stub = text_service_pb2_grpc.TextServiceStub(channel)
    return await outcome_of(stub.EmbedText(pb.EmbedTextRequest(texts=["alien war"], model=model), timeout=10))


async def states(channel: grpc.aio.Channel) -> dict[str, tuple[str, str]]:
    """Return model → (state, reason)."""
    stub = model_repository_pb2_grpc.ModelRepositoryServiceStub(channel)
    reply = await stub.ListModels(model_repository_pb2.ListModelsRequest(), timeout=10)
    names = model_repository_pb2.ModelState
    return {model.name: (names.Name(model.state), model.reason) for model in reply.models}


async def test_a_reply_says_what_answered_and_where_the_time_went(models: Path) -> None:
    write_model(models, version="3")
    async with DummyService(models).running() as server:
        answered = await embed(server.channel)
    report = answered.reply.report
    assert (report.model, report.version, report.cached) == (NAME, "3", False)
    assert report.compute_microseconds > 0
    assert report.queue_microseconds > 0


async def test_models_are_chosen_by_name(models: Path) -> None:
    write_model(models)
    write_model(models, "other-vectors", seed=8)
    async with DummyService(models).running() as server:
        default, other = await embed(server.channel), await embed(server.channel, "other-vectors")
        unknown = await embed(server.channel, "gpt")
    assert default.reply.report.model == NAME
    assert other.reply.report.model == "other-vectors"
    assert default.reply.vectors != other.reply.vectors
    assert unknown.code is grpc.StatusCode.NOT_FOUND
    assert (unknown.reason, unknown.resource) == ("MODEL_NOT_FOUND", ("model", "gpt"))
    assert list(unknown.violations) == ["model"]


async def test_a_model_of_another_task_is_not_found_for_this_one(models: Path) -> None:
    write_model(models)
    write_model(models, "sentiment", task="text-classification")
    async with DummyService(models).running() as server:
        answered = await embed(server.channel, "sentiment")
    assert answered.code is grpc.StatusCode.NOT_FOUND
    assert "it does text-classification; for this call there are: dummy-vectors" in answered.message


async def test_a_corrupt_required_model_keeps_the_service_from_being_ready(models: Path) -> None:
    write_model(models)
    flip_byte(write_model(models, "broken") / "model.onnx")
    async with DummyService(models).running() as server:
        assert await health(server.channel) == "NOT_SERVING"
        assert await health(server.channel, "marquee.text.v1.TextService") == "NOT_SERVING"
        listed = await states(server.channel)
        answered = await embed(server.channel)
        refused = await embed(server.channel, "broken")
    assert listed[NAME] == ("MODEL_STATE_READY", "")
    assert listed["broken"][0] == "MODEL_STATE_FAILED"
    assert "model.onnx is corrupt" in listed["broken"][1]
    assert answered.code is grpc.StatusCode.OK, "the others answer"
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")


async def test_a_corrupt_optional_model_leaves_the_service_ready(models: Path) -> None:
    write_model(models)
    flip_byte(write_model(models, "broken", required=False) / "model.onnx")
    async with DummyService(models).running() as server:
        assert await health(server.channel) == "SERVING"
        assert (await states(server.channel))["broken"][0] == "MODEL_STATE_FAILED"
        assert (await embed(server.channel, "broken")).code is grpc.StatusCode.UNAVAILABLE
        assert (await embed(server.channel)).code is grpc.StatusCode.OK


@pytest.mark.parametrize(("required", "expected"), [(True, "NOT_SERVING"), (False, "SERVING")])
async def test_a_model_without_a_working_pipeline_is_refused_like_a_corrupt_one(
    models: Path, required: bool, expected: str
) -> None:
    write_model(models)
    folder = write_model(models, "no-tokenizer", required=required)
    (folder / "tokenizer.json").unlink()
    edit_manifest(folder, lambda document: document["files"].pop("tokenizer.json"))
    async with DummyService(models).running() as server:
        assert await health(server.channel) == expected
        state, reason = (await states(server.channel))["no-tokenizer"]
        assert (await embed(server.channel)).code is grpc.StatusCode.OK
        assert (await embed(server.channel, "no-tokenizer")).code is grpc.StatusCode.UNAVAILABLE
    assert state == "MODEL_STATE_FAILED"
    assert reason == "no-tokenizer/1: the word-vectors pipeline cannot be made; the service's log says why"


async def test_an_empty_repository_is_not_ready_but_answers(models: Path) -> None:
    async with DummyService(models).running() as server:
        assert await health(server.channel) == "NOT_SERVING"
        assert await states(server.channel) == {}
        assert (await embed(server.channel)).code is grpc.StatusCode.NOT_FOUND


async def test_a_demanded_gpu_that_is_not_there_is_not_serving_rather_than_slow(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    write_model(models)
    async with DummyService(models, execution_provider="cuda").running() as server:
        assert await health(server.channel) == "NOT_SERVING"
        assert (await embed(server.channel)).code is grpc.StatusCode.UNAVAILABLE


async def test_a_call_while_the_models_load_is_told_to_come_back(models: Path) -> None:
    write_model(models)
    dummy = DummyService(models)
    gate, build = threading.Event(), dummy.servicer.vectors.build
    loading, loop = asyncio.Event(), asyncio.get_running_loop()

    def slow_build() -> None:
        loop.call_soon_threadsafe(loading.set)
        gate.wait(10)
        build()

    dummy.servicer.vectors.build = slow_build  # type: ignore[method-assign]
    server = ServiceServer(dummy.definition(), dummy.settings)
    starting = asyncio.create_task(server.start())
    await asyncio.wait_for(loading.wait(), 10)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert await health(channel) == "NOT_SERVING"
        early = await embed(channel)
        gate.set()
        await starting
        assert await health(channel) == "SERVING"
        assert (await embed(channel)).code is grpc.StatusCode.OK
    await server.stop()
    assert (early.code, early.reason) == (grpc.StatusCode.UNAVAILABLE, "MODELS_NOT_LOADED")
    assert early.retry_seconds
