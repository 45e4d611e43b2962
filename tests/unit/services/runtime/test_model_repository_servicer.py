from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from marquee.common.v1 import model_repository_pb2 as pb
from marquee.common.v1 import model_repository_pb2_grpc
from tests.support.bundles import ITEMS, write_bundle
from tests.support.clients import outcome_of
from tests.support.dummy_model import flip_byte, write_model
from tests.support.dummy_service import DummyService

Stub: TypeAlias = "model_repository_pb2_grpc.ModelRepositoryServiceAsyncStub"


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


@pytest.fixture
async def stub(models: Path, bundles: Path) -> AsyncIterator[Stub]:
    write_model(models, "b-vectors")
    write_model(models, "a-vectors", version="2", required=False)
    async with DummyService(models, bundles, default_model="b-vectors").running() as server:
        yield model_repository_pb2_grpc.ModelRepositoryServiceStub(server.channel)


async def test_every_version_is_listed_with_what_a_person_asks(stub: Stub, models: Path) -> None:
    write_model(models, "b-vectors", version="2")
    reply = await stub.ListModels(pb.ListModelsRequest())
    assert [(model.name, model.version) for model in reply.models] == [
        ("a-vectors", "2"),
        ("b-vectors", "1"),
        ("b-vectors", "2"),
    ]
    optional, first, new = reply.models
    assert (optional.state, optional.required) == (pb.MODEL_STATE_UNLOADED, False)
    assert (new.state, new.default_version, new.size_bytes > 1_000) == (pb.MODEL_STATE_UNLOADED, False, True)
    assert (first.task, first.state, first.reason) == ("word-vectors", pb.MODEL_STATE_READY, "")
    assert (first.required, first.version_policy, first.default_version) == (True, "latest:1", True)
    assert (first.default_model, optional.default_model) == (True, False)
    assert first.execution_provider == "CPUExecutionProvider"
    assert first.size_bytes > 1_000
    assert first.load_milliseconds >= 0
    assert reply.resident_bytes > 10 << 20


async def test_a_version_is_loaded_replaced_refused_and_unloaded(stub: Stub, models: Path) -> None:
    loaded = (await stub.LoadModel(pb.LoadModelRequest(name="a-vectors"))).models
    assert [(model.version, model.state) for model in loaded] == [("2", pb.MODEL_STATE_READY)]
    write_model(models, "a-vectors", version="3")
    loaded = (await stub.LoadModel(pb.LoadModelRequest(name="a-vectors"))).models
    assert [(model.version, model.default_version) for model in loaded] == [("3", True)]
    flip_byte(write_model(models, "a-vectors", version="4") / "model.onnx")
    for version in ("4", "4", ""):
        answered = await outcome_of(stub.LoadModel(pb.LoadModelRequest(name="a-vectors", version=version)))
        assert (answered.code, answered.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_REFUSED")
        assert "model.onnx is corrupt" in answered.message
        assert answered.metadata == {"model": "a-vectors", "versions": "4"}
    listed = (await stub.ListModels(pb.ListModelsRequest())).models
    states = {model.version: model.state for model in listed if model.name == "a-vectors"}
    gone = (pb.MODEL_STATE_UNLOADING, pb.MODEL_STATE_UNLOADED)
    assert states.pop("2") in gone, "its memory takes a moment"
    assert states == {"3": pb.MODEL_STATE_READY, "4": pb.MODEL_STATE_FAILED}
    await stub.UnloadModel(pb.UnloadModelRequest(name="a-vectors"))
    answered = await outcome_of(stub.UnloadModel(pb.UnloadModelRequest(name="a-vectors")))
    assert (answered.code, answered.resource) == (grpc.StatusCode.NOT_FOUND, ("model", "a-vectors"))


@pytest.mark.parametrize(
    ("name", "version", "field"),
    [("", "", "name"), ("x" * 65, "", "name"), ("a-vectors", "../2", "version"), ("a-vectors", "x" * 65, "version")],
)
async def test_what_is_no_name_or_version_is_refused(stub: Stub, name: str, version: str, field: str) -> None:
    for call in (
        stub.LoadModel(pb.LoadModelRequest(name=name, version=version)),
        stub.UnloadModel(pb.UnloadModelRequest(name=name, version=version)),
    ):
        answered = await outcome_of(call)
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(answered.violations) == [field]


async def test_a_model_that_is_not_there_is_not_found(stub: Stub) -> None:
    for name, version in (("gpt", ""), ("a-vectors", "9"), ("../models", "")):
        answered = await outcome_of(stub.LoadModel(pb.LoadModelRequest(name=name, version=version)))
        assert answered.code is grpc.StatusCode.NOT_FOUND


async def test_a_bundle_is_loaded_listed_shown_and_unloaded(stub: Stub, bundles: Path) -> None:
    write_bundle(bundles, "v1", created="2025-03-01T12:00:00Z")
    write_bundle(bundles, "v2", created="2025-03-02T12:00:00Z")
    loaded = (await stub.LoadBundle(pb.LoadBundleRequest(version="v1"))).bundle
    assert (loaded.tenant, loaded.version, loaded.event_watermark, loaded.item_count) == ("default", "v1", 42, 12)
    assert loaded.create_time.ToDatetime(UTC) == datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert list(loaded.scorers) == ["words"]
    assert not loaded.has_ranker
    assert list(loaded.item_ids) == [], "the vocabulary comes with GetBundle only"
    assert (await stub.LoadBundle(pb.LoadBundleRequest(tenant="default", version="v1"))).bundle == loaded
    await stub.LoadBundle(pb.LoadBundleRequest(version="v2"))
    listed = (await stub.ListBundles(pb.ListBundlesRequest())).bundles
    assert [bundle.version for bundle in listed] == ["v2", "v1"]
    assert list((await stub.GetBundle(pb.GetBundleRequest(version="v1"))).bundle.item_ids) == list(ITEMS)
    await stub.UnloadBundle(pb.UnloadBundleRequest(version="v2"))
    assert [bundle.version for bundle in (await stub.ListBundles(pb.ListBundlesRequest())).bundles] == ["v1"]


async def test_a_tenant_sees_its_own_bundles_only(stub: Stub, bundles: Path) -> None:
    write_bundle(bundles, "v1", tenant="acme")
    await stub.LoadBundle(pb.LoadBundleRequest(tenant="acme", version="v1"))
    assert len((await stub.ListBundles(pb.ListBundlesRequest(tenant="acme"))).bundles) == 1
    assert len((await stub.ListBundles(pb.ListBundlesRequest())).bundles) == 0
    answered = await outcome_of(stub.GetBundle(pb.GetBundleRequest(version="v1")))
    assert answered.code is grpc.StatusCode.NOT_FOUND


async def test_a_corrupt_bundle_is_refused_and_the_loaded_ones_stay(stub: Stub, bundles: Path) -> None:
    write_bundle(bundles, "v1")
    await stub.LoadBundle(pb.LoadBundleRequest(version="v1"))
    flip_byte(write_bundle(bundles, "v2") / "words.onnx")
    answered = await outcome_of(stub.LoadBundle(pb.LoadBundleRequest(version="v2")))
    assert (answered.code, answered.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_REFUSED")
    assert "words.onnx is corrupt" in answered.message
    assert [bundle.version for bundle in (await stub.ListBundles(pb.ListBundlesRequest())).bundles] == ["v1"]


@pytest.mark.parametrize("version", ["", "../default/v1", "/etc", ".", "..", "v1/../../v2"])
async def test_a_version_that_is_no_folder_name_is_refused_everywhere(stub: Stub, version: str) -> None:
    for call in (
        stub.LoadBundle(pb.LoadBundleRequest(version=version)),
        stub.UnloadBundle(pb.UnloadBundleRequest(version=version)),
        stub.GetBundle(pb.GetBundleRequest(version=version)),
    ):
        answered = await outcome_of(call)
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(answered.violations) == ["version"]


async def test_a_tenant_that_is_no_name_is_refused_everywhere(stub: Stub) -> None:
    for call in (
        stub.LoadBundle(pb.LoadBundleRequest(tenant="../acme", version="v1")),
        stub.UnloadBundle(pb.UnloadBundleRequest(tenant="../acme", version="v1")),
        stub.GetBundle(pb.GetBundleRequest(tenant="../acme", version="v1")),
        stub.ListBundles(pb.ListBundlesRequest(tenant="../acme")),
    ):
        answered = await outcome_of(call)
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(answered.violations) == ["tenant"]


async def test_what_is_not_loaded_is_not_found(stub: Stub, bundles: Path) -> None:
    write_bundle(bundles, "v1")
    for call in (
        stub.UnloadBundle(pb.UnloadBundleRequest(version="v1")),
        stub.GetBundle(pb.GetBundleRequest(version="v1")),
    ):
        answered = await outcome_of(call)
        assert answered.code is grpc.StatusCode.NOT_FOUND
        assert answered.resource == ("bundle", "v1")
