from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2

from marquee.common.v1 import usage_pb2 as pb
from marquee.common.v1.usage_pb2_grpc import UsageServiceStub
from marquee.text.v1 import text_service_pb2
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.runtime.observability.usage import HOUR_SECONDS, UsageMeter
from services.runtime.usage_servicer import USAGE_CONTRACT
from tests.support.clients import reflected_services
from tests.support.dummy_model import NAME, write_model
from tests.support.dummy_service import DummyService
from tests.support.servers import RunningServer

HOUR = 1_760_000_400 // HOUR_SECONDS * HOUR_SECONDS


@pytest.fixture
def service(tmp_path: Path) -> DummyService:
    write_model(tmp_path / "models")
    return DummyService(tmp_path / "models")


async def export(server: RunningServer, **fields: Any) -> list[pb.ExportUsageResponse]:
    stub: Any = UsageServiceStub(server.channel)
    return [response async for response in stub.ExportUsage(pb.ExportUsageRequest(**fields), timeout=10)]


def moment(seconds: int, nanos: int = 0) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos)


def fill(meter: UsageMeter, tenants: int, hours: int) -> None:
    for hour in range(hours):
        meter._clock = lambda hour=hour: HOUR + hour * HOUR_SECONDS  # type: ignore[misc]
        for tenant in range(tenants):
            meter.add(f"tenant-{tenant:04}", "minilm", "2", "tokens", 10 + tenant, 0.5)


async def test_what_is_answered_is_exported(service: DummyService) -> None:
    async with service.running() as server:
        text: Any = TextServiceStub(server.channel)
        for tenant, texts in (("arcade", ["robot"]), ("arcade", ["love", "war"]), ("", ["space"])):
            metadata = (("x-marquee-tenant", tenant),) if tenant else ()
            await text.EmbedText(text_service_pb2.EmbedTextRequest(texts=texts), metadata=metadata, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError):
            await text.EmbedText(text_service_pb2.EmbedTextRequest(texts=[]), timeout=10)
        (response,) = await export(server)
        assert USAGE_CONTRACT in await reflected_services(server.channel)
    found = {record.tenant: record for record in response.records}
    assert set(found) == {"arcade", "default"}
    assert (found["arcade"].model, found["arcade"].version) == (NAME, "1")
    assert found["arcade"].call_count == 2
    assert found["arcade"].amount > found["default"].amount > 0
    assert found["arcade"].compute_seconds > 0
    assert found["arcade"].start_time.seconds % HOUR_SECONDS == 0
    assert response.process_id
    assert response.overflow_count == 0


async def test_tenant_and_time_choose(service: DummyService) -> None:
    fill(service.service.telemetry.usage, tenants=2, hours=4)
    async with service.running() as server:
        (one,) = await export(server, tenant="tenant-0001")
        assert [record.amount for record in one.records] == [11] * 4
        start, end = moment(HOUR + HOUR_SECONDS), moment(HOUR + 2 * HOUR_SECONDS, 1_000_000)
        (some,) = await export(server, tenant="tenant-0000", start_time=start, end_time=end)
        assert [record.start_time.seconds for record in some.records] == [HOUR + HOUR_SECONDS, HOUR + 2 * HOUR_SECONDS]
        (none,) = await export(server, tenant="nobody")
        assert not none.records
        assert none.process_id


async def test_much_usage_comes_in_parts(service: DummyService) -> None:
    fill(service.service.telemetry.usage, tenants=1_100, hours=2)
    async with service.running() as server:
        responses = await export(server)
    assert [len(response.records) for response in responses] == [1_000, 1_000, 200]
    keys = [(record.start_time.seconds, record.tenant) for response in responses for record in response.records]
    assert keys == sorted(keys)
    assert len(set(keys)) == 2_200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tenant": "Not a tenant"}, "tenant"),
        ({"start_time": moment(20), "end_time": moment(10)}, "end_time: is before start_time"),
        ({"start_time": moment(20, -1)}, "start_time.nanos"),
    ],
)
async def test_a_bad_request_names_its_field(service: DummyService, fields: dict[str, Any], expected: str) -> None:
    async with service.running() as server:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await export(server, **fields)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert expected in (failure.value.details() or "")
