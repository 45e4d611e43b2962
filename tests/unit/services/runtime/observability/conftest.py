"""A collector of spans, as it would stand beside a mesh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans it gets, by service and name.

    Attributes:
        endpoint: for the setting `tracing_endpoint`.
        delay: seconds that it takes for an answer.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.delay = 0.0
        self.spans: dict[tuple[str, str], list[Any]] = {}

    async def Export(self, request: Any, context: Any) -> Any:
        await asyncio.sleep(self.delay)
        for resource in request.resource_spans:
            service = attributes(resource.resource)["service.name"]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.setdefault((service, span.name), []).append(span)
        return pb.ExportTraceServiceResponse()


def attributes(message: Any) -> dict[str, Any]:
    """Return the attributes of a span or resource as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in message.attributes}


@pytest.fixture
def attributes_of() -> Callable[[Any], dict[str, Any]]:
    """How to read the attributes of a span."""
    return attributes


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector that listens."""
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield collector
    await server.stop(0)
