"""One trace over two real services, which share nothing but the calls between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc

from marquee.text.v1 import generation_pb2, text_service_pb2_grpc
from marquee.text.v1 import text_service_pb2 as pb
from services.orchestrator.mesh import Mesh
from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ServiceSettings
from services.runtime.telemetry import Telemetry
from tests.support.dummy_model import write_model
from tests.support.dummy_service import EMBED, SCRIPTED, DummyService
from tests.support.servers import RunningServer, running

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Caller(text_service_pb2_grpc.TextServiceServicer):
    """Answers ClassifyText by asking a text service through the mesh, as the orchestrator does."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh

    async def ClassifyText(self, request: pb.ClassifyTextRequest, context: Any) -> pb.ClassifyTextResponse:
        await self.mesh.embed_texts(request.texts, 10)
        return pb.ClassifyTextResponse()

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Any) -> pb.EmbedTextResponse:
        raise NotImplementedError

    async def UnderstandText(self, request: pb.UnderstandTextRequest, context: Any) -> pb.UnderstandTextResponse:
        raise NotImplementedError

    def GenerateText(
        self, request: generation_pb2.GenerateTextRequest, context: Any
    ) -> AsyncIterator[generation_pb2.GenerateTextResponse]:
        raise NotImplementedError

    async def GenerateCandidates(
        self, request: pb.GenerateCandidatesRequest, context: Any
    ) -> pb.GenerateCandidatesResponse:
        raise NotImplementedError


def caller_of(address: str, settings: ServiceSettings) -> ServiceDefinition:
    """A service named caller in front of the text service at `address`."""
    mesh = Mesh({"text": address, "vision": address, "classical": address})

    async def start() -> list[str]:
        return []

    def attach(server: grpc.aio.Server) -> None:
        text_service_pb2_grpc.add_TextServiceServicer_to_server(Caller(mesh), server)

    telemetry = Telemetry.from_settings(settings, "caller")
    return ServiceDefinition("caller", ["marquee.text.v1.TextService"], attach, start, mesh.close, telemetry)


async def ask(server: RunningServer, texts: list[str], **metadata: str) -> None:
    stub: Any = text_service_pb2_grpc.TextServiceStub(server.channel)
    await stub.ClassifyText(pb.ClassifyTextRequest(texts=texts), metadata=tuple(metadata.items()), timeout=10)


async def test_a_trace_goes_through_caller_and_callee(
    tmp_path: Path, collector: Any, attributes_of: Callable[[Any], Any]
) -> None:
    write_model(tmp_path / "models")
    callee = DummyService(tmp_path / "models", tracing_endpoint=collector.endpoint)
    settings = ServiceSettings(port=0, tracing_endpoint=collector.endpoint, drain_seconds=1)
    async with callee.running() as called, running(caller_of(called.address, settings), settings) as calling:
        assert isinstance(calling.server, ServiceServer)
        await ask(calling, ["robot love"], traceparent=f"00-{TRACE}-{SPAN}-01")
    (outer,) = collector.spans["marquee-caller", SCRIPTED[1:]]
    (inner,) = collector.spans["marquee-text", EMBED[1:]]
    (compute,) = collector.spans["marquee-text", "compute"]
    assert outer.trace_id.hex() == inner.trace_id.hex() == compute.trace_id.hex() == TRACE
    assert outer.parent_span_id.hex() == SPAN
    assert inner.parent_span_id == outer.span_id
    assert compute.parent_span_id == inner.span_id
    assert outer.start_time_unix_nano <= inner.start_time_unix_nano
    assert inner.start_time_unix_nano <= compute.start_time_unix_nano
    assert compute.end_time_unix_nano <= inner.end_time_unix_nano <= outer.end_time_unix_nano
    assert attributes_of(inner)["marquee.model"] == "dummy-vectors"
    assert attributes_of(inner)["marquee.batch_rows"] >= 1


async def test_a_service_whose_collector_is_gone_answers(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    callee = DummyService(tmp_path / "models", tracing_endpoint="http://127.0.0.1:1")
    async with callee.running() as called:
        stub: Any = text_service_pb2_grpc.TextServiceStub(called.channel)
        for _ in range(20):
            assert len((await stub.EmbedText(pb.EmbedTextRequest(texts=["robot"]), timeout=10)).vectors) == 1
