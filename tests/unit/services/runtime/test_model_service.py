from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc
import onnxruntime
import pytest

from marquee.common.v1 import model_repository_pb2, model_repository_pb2_grpc
from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.runtime.repository.loader import LoadedModel
from services.runtime.server import ServiceDefinition, ServiceServer
from tests.support.clients import Outcome, health, outcome_of
from tests.support.dummy_model import NAME, edit_manifest, flip_byte, write_model
from tests.support.dummy_service import DummyPipeline, DummyService


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
        assert (await states(server.channel))["broken"][0] == "MODEL_STATE_UNLOADED", "nobody has asked for it"
        assert (await embed(server.channel, "broken")).code is grpc.StatusCode.UNAVAILABLE
        assert (await states(server.channel))["broken"][0] == "MODEL_STATE_FAILED"
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
        assert (await embed(server.channel)).code is grpc.StatusCode.OK
        assert (await embed(server.channel, "no-tokenizer")).code is grpc.StatusCode.UNAVAILABLE
        state, reason = (await states(server.channel))["no-tokenizer"]
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
    gate, loading, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def slow(model: LoadedModel) -> DummyPipeline:
        loop.call_soon_threadsafe(loading.set)
        gate.wait(10)
        return DummyPipeline(model)

    dummy = DummyService(models, pipeline=slow)
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


async def test_a_service_that_stops_while_it_loads_never_serves(models: Path) -> None:
    for number in range(4):
        write_model(models, f"model-{number}")
    gate, loading, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def slow(model: LoadedModel) -> DummyPipeline:
        loop.call_soon_threadsafe(loading.set)
        gate.wait(10)
        return DummyPipeline(model)

    dummy = DummyService(models, pipeline=slow)
    definition = dummy.definition()
    starting = asyncio.create_task(_problems(definition))
    await asyncio.wait_for(loading.wait(), 10)
    stopping = asyncio.create_task(dummy.service.stop())
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.wait_for(stopping, 5)
    assert await starting == ["it was stopped while its models were loaded"]
    assert not dummy.service.health.serving
    assert dummy.service.models.serving() == []


async def test_a_start_that_is_cancelled_leaves_nothing_running(models: Path) -> None:
    for number in range(4):
        write_model(models, f"model-{number}")
    gate, loading, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def slow(model: LoadedModel) -> DummyPipeline:
        loop.call_soon_threadsafe(loading.set)
        gate.wait(10)
        return DummyPipeline(model)

    dummy = DummyService(models, pipeline=slow)
    starting = asyncio.create_task(_problems(dummy.definition()))
    await asyncio.wait_for(loading.wait(), 10)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    gate.set()
    await asyncio.wait_for(dummy.service.stop(), 5)
    assert not dummy.service.health.serving
    assert dummy.service.models.serving() == []


async def _problems(definition: ServiceDefinition) -> Sequence[str]:
    return await definition.start()


async def test_a_missing_default_model_keeps_the_service_from_being_ready_until_it_comes(models: Path) -> None:
    write_model(models, "other-vectors")
    async with DummyService(models, default_model=NAME).running() as server:
        assert await health(server.channel) == "NOT_SERVING"
        answered = await embed(server.channel)
        assert (answered.code, answered.resource) == (grpc.StatusCode.NOT_FOUND, ("model", NAME))
        assert (await embed(server.channel, "other-vectors")).code is grpc.StatusCode.OK
        write_model(models)
        stub = model_repository_pb2_grpc.ModelRepositoryServiceStub(server.channel)
        await stub.LoadModel(model_repository_pb2.LoadModelRequest(name=NAME))
        assert await health(server.channel) == "SERVING"
        assert (await embed(server.channel)).code is grpc.StatusCode.OK


async def test_a_missing_default_model_is_told_with_what_there_is(models: Path) -> None:
    write_model(models, "other-vectors")
    dummy = DummyService(models, default_model=NAME)
    definition = dummy.definition()
    assert await definition.start() == [
        f"the default model {NAME} is not in the model repository, which has other-vectors"
    ]
    await definition.stop()


async def test_a_request_may_name_the_version(models: Path) -> None:
    for version, seed in (("1", 1), ("2", 2)):
        write_model(models, version=version, seed=seed)
    async with DummyService(models, version_policies={"*": "all"}).running() as server:
        named = [await embed(server.channel, f"{NAME}/{version}") for version in ("1", "2")]
        default = await embed(server.channel)
        unknown = await embed(server.channel, f"{NAME}/3")
    assert [one.reply.report.version for one in named] == ["1", "2"]
    assert named[0].reply.vectors != named[1].reply.vectors
    assert default.reply.vectors == named[1].reply.vectors
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_VERSION_NOT_FOUND")


async def test_a_polled_repository_serves_what_is_put_there(models: Path) -> None:
    write_model(models)
    async with DummyService(models, poll_seconds=0.05).running() as server:
        write_model(models, version="2")
        async with asyncio.timeout(10):
            while (await embed(server.channel)).reply.report.version != "2":
                await asyncio.sleep(0.02)
        assert await health(server.channel) == "SERVING"


async def test_unloading_leaves_the_health_as_it_is(models: Path) -> None:
    write_model(models)
    async with DummyService(models).running() as server:
        stub = model_repository_pb2_grpc.ModelRepositoryServiceStub(server.channel)
        await stub.UnloadModel(model_repository_pb2.UnloadModelRequest(name=NAME))
        assert await health(server.channel) == "SERVING"
        answered = await embed(server.channel)
    assert (answered.code, answered.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_UNLOADED")
