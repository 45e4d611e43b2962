"""The Open Inference Protocol on every model service: one suite, whatever the family."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy
import pytest

from inference import open_inference_pb2 as pb
from inference import open_inference_pb2_grpc
from tests.contract.cases.tensors import BAD, TENSORS, BadTensors, TensorCase
from tests.contract.conftest import ServiceOf
from tests.contract.families import FAMILIES, Family
from tests.contract.service import Service
from tests.support.clients import Outcome, health, outcome_of, reflected_services
from tests.support.tensor_requests import Array, arrays_of, typed_request

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="session")]
CONTRACT = "inference.GRPCInferenceService"
PATIENCE_SECONDS = 60.0
COMPANY = 5

EVERY = [(family, case) for family in FAMILIES for case in TENSORS[family.name]]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
each_model = pytest.mark.parametrize(("family", "case"), EVERY, ids=[case.name for _, case in EVERY])


async def ask(service: Service, method: str, request: Any) -> Outcome:
    return await service.ask(f"/{CONTRACT}/{method}", request)


async def reply(service: Service, method: str, request: Any) -> Any:
    return await service.reply(f"/{CONTRACT}/{method}", request)


async def infer(service: Service, request: pb.ModelInferRequest) -> dict[str, Array]:
    return arrays_of(await reply(service, "ModelInfer", request))


def assert_rows_agree(together: Array, alone: Sequence[Array]) -> None:
    """Check that each row is the same in company as alone: direction, largest value, and the values themselves."""
    assert len(together) == len(alone)
    for row, (one, other) in enumerate(zip(together, alone, strict=True)):
        cosine = float(one @ other / (numpy.linalg.norm(one) * numpy.linalg.norm(other)))
        assert cosine >= 0.9995, f"row {row}: cosine {cosine}"
        assert one.argmax() == other.argmax(), f"row {row}"
        assert numpy.allclose(one, other, atol=2e-3), f"row {row}"


@each_family
async def test_the_service_tells_what_it_is(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    assert (await reply(service, "ServerLive", pb.ServerLiveRequest())).live
    assert (await reply(service, "ServerReady", pb.ServerReadyRequest())).ready
    metadata = await reply(service, "ServerMetadata", pb.ServerMetadataRequest())
    assert metadata.name.startswith("marquee-")
    assert metadata.version
    assert {"model_repository", "statistics", "model_configuration"} <= set(metadata.extensions)


@each_family
async def test_health_and_reflection_know_the_protocol(family: Family, service_of: ServiceOf) -> None:
    channel = (await service_of(family)).channel
    assert await health(channel, CONTRACT) == "SERVING"
    assert CONTRACT in await reflected_services(channel)


@each_family
async def test_every_model_of_the_repository_is_served(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    index = await reply(service, "RepositoryIndex", pb.RepositoryIndexRequest())
    assert [(entry.name, entry.state) for entry in index.models] == sorted(
        (name, "READY") for name in family.cases.models
    )
    assert {case.model for case in TENSORS[family.name]} <= set(family.cases.models)
    ready = await reply(service, "RepositoryIndex", pb.RepositoryIndexRequest(ready=True))
    assert ready == index
    refused = await ask(service, "RepositoryIndex", pb.RepositoryIndexRequest(repository_name="other"))
    assert (refused.code, refused.resource) == (grpc.StatusCode.NOT_FOUND, ("repository", "other"))


@each_model
async def test_metadata_and_configuration_fit_each_other(
    family: Family, case: TensorCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    metadata = await reply(service, "ModelMetadata", pb.ModelMetadataRequest(name=case.model))
    assert (metadata.name, list(metadata.versions), metadata.platform) == (case.model, ["1"], "onnxruntime_onnx")
    assert {tensor.name for tensor in metadata.inputs} == set(case.rows(1))
    config = (await reply(service, "ModelConfig", pb.ModelConfigRequest(name=case.model, version="1"))).config
    assert config.max_batch_size >= 1
    for described, configured in zip(
        [*metadata.inputs, *metadata.outputs], [*config.input, *config.output], strict=True
    ):
        assert described.name == configured.name
        assert list(described.shape) == [-1, *configured.dims]


@each_model
async def test_a_model_is_ready_and_an_unknown_one_is_not(
    family: Family, case: TensorCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    for name, version, ready in (
        (case.model, "", True),
        (case.model, "1", True),
        (case.model, "9", False),
        ("?", "", False),
    ):
        answered = await reply(service, "ModelReady", pb.ModelReadyRequest(name=name, version=version))
        assert answered.ready is ready
    for request in (pb.ModelMetadataRequest(name="?"), pb.ModelMetadataRequest(name=case.model, version="9")):
        assert (await ask(service, "ModelMetadata", request)).code is grpc.StatusCode.NOT_FOUND
    assert (await ask(service, "ModelConfig", pb.ModelConfigRequest(name="?"))).code is grpc.StatusCode.NOT_FOUND


@each_model
async def test_raw_and_typed_contents_get_the_same_answer(
    family: Family, case: TensorCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    request = case.request(2)
    request.id = "request-7"
    response = await reply(service, "ModelInfer", request)
    assert (response.model_name, response.model_version, response.id) == (case.model, "1", "request-7")
    typed = await infer(service, typed_request(case.model, case.rows(2)))
    for name, array in arrays_of(response).items():
        assert len(array) == 2
        assert numpy.isfinite(array).all()
        assert numpy.allclose(array, typed[name], atol=1e-6)


@each_model
async def test_only_the_wanted_outputs_come(family: Family, case: TensorCase, service_of: ServiceOf) -> None:
    service = await service_of(family)
    request = case.request()
    request.outputs.add(name=case.output)
    assert list(await infer(service, request)) == [case.output]


@each_model
async def test_a_row_does_not_depend_on_its_company(family: Family, case: TensorCase, service_of: ServiceOf) -> None:
    service = await service_of(family)
    together = (await infer(service, case.request(COMPANY)))[case.output]
    alone = [(await infer(service, case.request_of(row)))[case.output][0] for row in range(COMPANY)]
    assert_rows_agree(together, alone)


@each_model
async def test_a_request_does_not_depend_on_what_else_runs(
    family: Family, case: TensorCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    alone = [(await infer(service, case.request_of(row)))[case.output][0] for row in range(COMPANY)]
    at_once = await asyncio.gather(*(infer(service, case.request_of(row % COMPANY)) for row in range(4 * COMPANY)))
    assert_rows_agree(numpy.stack([answer[case.output][0] for answer in at_once]), alone * 4)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
@each_model
async def test_bad_input_is_refused_and_the_service_lives_on(
    family: Family, case: TensorCase, bad: BadTensors, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    request = case.request()
    bad.spoil(request)
    refused = await ask(service, "ModelInfer", request)
    assert refused.code is bad.code, refused.message
    assert refused.domain == "marquee.dev"
    assert refused.request_id
    if bad.field:
        assert bad.field in refused.violations, refused.violations
    assert await health(service.channel, CONTRACT) == "SERVING"
    assert await infer(service, case.request())


@each_model
async def test_rows_have_a_limit_that_is_told(family: Family, case: TensorCase, service_of: ServiceOf) -> None:
    service = await service_of(family)
    request = case.request()
    for tensor, content in zip(request.inputs, list(request.raw_input_contents), strict=True):
        tensor.shape[0] = 0
        request.raw_input_contents.remove(content)
        request.raw_input_contents.append(b"")
    assert "1 to" in (await ask(service, "ModelInfer", request)).violations["inputs[0].shape"]


@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf])
async def test_numbers_that_are_none_are_refused(bad: float, service_of: ServiceOf) -> None:
    service = await service_of(next(family for family in FAMILIES if family.name == "classical"))
    for case in TENSORS["classical"]:
        request = case.request()
        spoiled = case.rows(1)["features"].copy()
        spoiled[0, 3] = bad
        request.raw_input_contents[0] = spoiled.tobytes()
        refused = await ask(service, "ModelInfer", request)
        assert "element 3" in refused.violations["raw_input_contents[0]"]


async def test_a_token_beyond_the_table_fails_its_own_request_only(service_of: ServiceOf) -> None:
    service = await service_of(next(family for family in FAMILIES if family.name == "text"))
    for case in TENSORS["text"]:
        bad = case.request()
        bad.raw_input_contents[0] = numpy.full((1, 16), 2**40).tobytes()
        requests = [bad if row % 5 == 2 else case.request() for row in range(20)]
        outcomes = await asyncio.gather(*(ask(service, "ModelInfer", request) for request in requests))
        codes = [outcome.code for outcome in outcomes]
        assert codes == [grpc.StatusCode.INVALID_ARGUMENT if row % 5 == 2 else grpc.StatusCode.OK for row in range(20)]


@each_model
async def test_a_stream_answers_in_order_and_goes_on_after_an_error(
    family: Family, case: TensorCase, service_of: ServiceOf
) -> None:
    stub = open_inference_pb2_grpc.GRPCInferenceServiceStub((await service_of(family)).channel)

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for number in range(40):
            request = case.request_of(number % COMPANY)
            request.id = str(number)
            if number % 7 == 3:
                request.inputs[0].name = "surprise"
            yield request

    responses = [one async for one in stub.ModelStreamInfer(requests(), timeout=PATIENCE_SECONDS)]
    assert [one.infer_response.id for one in responses] == [str(number) for number in range(40)]
    for number, response in enumerate(responses):
        if number % 7 == 3:
            assert response.error_message.startswith("INVALID_ARGUMENT: inputs[0].name: no input 'surprise'")
            assert not response.infer_response.outputs
        else:
            assert not response.error_message
            assert case.output in arrays_of(response.infer_response)


@each_family
async def test_an_empty_stream_ends_and_a_cancelled_one_leaves_nothing_behind(
    family: Family, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    case = TENSORS[family.name][0]
    stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(service.channel)

    async def nothing() -> AsyncIterator[pb.ModelInferRequest]:
        return
        yield

    async def without_end() -> AsyncIterator[pb.ModelInferRequest]:
        while True:
            yield case.request()
            await asyncio.sleep(0)

    assert [one async for one in stub.ModelStreamInfer(nothing(), timeout=PATIENCE_SECONDS)] == []
    for _ in range(5):
        call = stub.ModelStreamInfer(without_end(), timeout=PATIENCE_SECONDS)
        async for response in call:
            assert response.infer_response.model_name == case.model
            break
        call.cancel()
    await service.assert_alive()


@each_model
async def test_statistics_count_requests_rows_and_failures(
    family: Family, case: TensorCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)

    async def figures() -> pb.ModelStatistics:
        answered = await reply(service, "ModelStatistics", pb.ModelStatisticsRequest(name=case.model))
        assert [(one.name, one.version) for one in answered.model_stats] == [(case.model, "1")]
        return answered.model_stats[0]  # type: ignore[no-any-return]

    before = await figures()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:  # what a test before has cancelled may still be at work
            await asyncio.sleep(0.5)
            earlier, before = before, await figures()
            if earlier.execution_count == before.execution_count:
                break
    await infer(service, case.request(3))
    bad = case.request()
    bad.inputs[0].name = "surprise"
    await ask(service, "ModelInfer", bad)
    after = await figures()
    assert after.inference_count - before.inference_count == 3
    assert after.execution_count > before.execution_count
    assert after.last_inference >= before.last_inference > 0
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert after.inference_stats.fail.count - before.inference_stats.fail.count == 1
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    assert sum(one.batch_size * one.compute_infer.count for one in after.batch_stats) >= after.inference_count
    everything = await reply(service, "ModelStatistics", pb.ModelStatisticsRequest())
    assert {one.name for one in everything.model_stats} == set(family.cases.models)
    unknown = await ask(service, "ModelStatistics", pb.ModelStatisticsRequest(name="?"))
    assert unknown.code is grpc.StatusCode.NOT_FOUND


@each_family
async def test_a_model_is_unloaded_and_loaded_while_it_is_asked(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    case = TENSORS[family.name][0]
    stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(service.channel)

    async def keep_asking() -> list[grpc.StatusCode]:
        codes = []
        for _ in range(20):
            codes.append((await outcome_of(stub.ModelInfer(case.request(), timeout=PATIENCE_SECONDS))).code)
            await asyncio.sleep(0.002)
        return codes

    async def unload() -> None:
        await asyncio.sleep(0.01)
        await reply(service, "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name=case.model))

    codes, *_ = await asyncio.gather(keep_asking(), keep_asking(), unload())
    assert codes[0] is grpc.StatusCode.OK
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND}
    assert not (await reply(service, "ModelReady", pb.ModelReadyRequest(name=case.model))).ready
    gone = await ask(service, "ModelInfer", case.request())
    assert gone.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND}
    index = await reply(service, "RepositoryIndex", pb.RepositoryIndexRequest())
    entry = next(one for one in index.models if one.name == case.model)
    assert (entry.state, bool(entry.reason)) == ("UNAVAILABLE", True)
    again = await ask(service, "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name=case.model))
    assert again.code is grpc.StatusCode.NOT_FOUND
    await reply(service, "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name=case.model))
    assert await infer(service, case.request())
    await service.assert_alive()


@each_family
@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
async def test_bad_loads_are_refused(method: str, family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    message = getattr(pb, f"{method}Request")
    model = TENSORS[family.name][0].model
    value = pb.ModelRepositoryParameter
    for request, code in (
        (message(), grpc.StatusCode.INVALID_ARGUMENT),
        (message(model_name="?"), grpc.StatusCode.NOT_FOUND),
        (message(model_name="../models"), grpc.StatusCode.NOT_FOUND),
        (message(model_name=model, repository_name="x"), grpc.StatusCode.NOT_FOUND),
        (message(model_name=model, parameters={"config": value(string_param="{}")}), grpc.StatusCode.INVALID_ARGUMENT),
        (message(model_name=model, parameters={"version": value(int64_param=1)}), grpc.StatusCode.INVALID_ARGUMENT),
        (message(model_name=model, parameters={"version": value(string_param="99")}), grpc.StatusCode.NOT_FOUND),
    ):
        refused = await ask(service, method, request)
        assert refused.code is code, f"{request}: {refused.message}"
        assert refused.domain == "marquee.dev"
    await service.assert_alive()
