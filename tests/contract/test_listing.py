"""What a service says about itself: health, reflection and its models."""

from __future__ import annotations

import pytest

from marquee.common.v1 import model_repository_pb2
from tests.contract.conftest import ServiceOf
from tests.contract.families import FAMILIES, Family
from tests.support.clients import health, reflected_services

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="session")]
REPOSITORY = "marquee.common.v1.ModelRepositoryService"
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@each_family
async def test_health_is_told_for_the_process_and_each_of_its_services(family: Family, service_of: ServiceOf) -> None:
    channel = (await service_of(family)).channel
    for name in ("", family.contract, REPOSITORY):
        assert await health(channel, name) == "SERVING"


@each_family
async def test_reflection_lists_what_outside_tools_may_call(family: Family, service_of: ServiceOf) -> None:
    listed = await reflected_services((await service_of(family)).channel)
    assert {family.contract, REPOSITORY, "grpc.health.v1.Health"} <= listed


@each_family
async def test_every_model_is_ready_and_covered_by_this_suite(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    reply = await service.reply(f"/{REPOSITORY}/ListModels", model_repository_pb2.ListModelsRequest())
    for model in reply.models:
        assert model.state == model_repository_pb2.MODEL_STATE_READY, f"{model.name}: {model.reason}"
        assert model.execution_provider
        assert model.size_bytes > 0
    assert {model.name: model.version for model in reply.models} == family.cases.models
    assert reply.resident_bytes > 0


@each_family
async def test_the_bundle_is_listed_with_this_services_scorers(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    reply = await service.reply(f"/{REPOSITORY}/ListBundles", model_repository_pb2.ListBundlesRequest())
    assert [(bundle.version, list(bundle.scorers)) for bundle in reply.bundles] == [("v1", list(family.cases.scorers))]
