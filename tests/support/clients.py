"""What a caller sees of a call: the reply, or the code, the message and the decoded `google.rpc` details."""

from __future__ import annotations

import base64
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

REQUEST_ID = "x-request-id"
STATUS_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        reply: the reply; None when the call failed.
        violations: field path → description.
        reason: `ErrorInfo.reason`; empty without details.
        retry_seconds: `RetryInfo.retry_delay`; None without it.
        resource: (type, name) of `ResourceInfo`; None without it.
        status: the decoded `google.rpc.Status`; None when the server sent none.
        request_id: id that the server used for the call.
    """

    code: grpc.StatusCode
    message: str
    reply: Any = None
    violations: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_seconds: float | None = None
    resource: tuple[str, str] | None = None
    status: status_pb2.Status | None = None
    request_id: str = ""


async def outcome_of(call: Awaitable[Any]) -> Outcome:
    """Wait for a call of an aio stub and return how it ended; never raises for a gRPC error."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        return failure(error)
    request_id = ""
    if isinstance(call, grpc.aio.Call):
        request_id = _text(dict(await call.trailing_metadata() or ()).get(REQUEST_ID, ""))
    return Outcome(grpc.StatusCode.OK, "", reply, request_id=request_id)


def failure(error: grpc.aio.AioRpcError) -> Outcome:
    """Return what the error tells a caller, with its details decoded."""
    trailers = dict(error.trailing_metadata() or ())
    request_id = _text(trailers.get(REQUEST_ID, ""))
    packed = trailers.get(STATUS_DETAILS)
    if packed is None:
        return Outcome(error.code(), error.details() or "", request_id=request_id)
    status = decode_status(packed if isinstance(packed, bytes) else base64.b64decode(packed))
    details = unpack(status)
    info = details.get("ErrorInfo", error_details_pb2.ErrorInfo())
    retry = details.get("RetryInfo")
    resource = details.get("ResourceInfo")
    request = details.get("BadRequest", error_details_pb2.BadRequest())
    return Outcome(
        error.code(),
        error.details() or "",
        violations={violation.field: violation.description for violation in request.field_violations},
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        retry_seconds=None if retry is None else retry.retry_delay.ToMilliseconds() / 1000,
        resource=None if resource is None else (resource.resource_type, resource.resource_name),
        status=status,
        request_id=request_id,
    )


def decode_status(content: bytes) -> status_pb2.Status:
    """Parse the value of the `grpc-status-details-bin` trailer."""
    return status_pb2.Status.FromString(content)


def unpack(status: status_pb2.Status) -> dict[str, Any]:
    """Return the details of a status by the short name of their type."""
    kinds = (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
    )
    found: dict[str, Any] = {}
    for detail in status.details:
        for kind in kinds:
            if detail.Is(kind.DESCRIPTOR):
                message = kind()
                detail.Unpack(message)
                found[kind.DESCRIPTOR.name] = message
    return found


async def health(channel: grpc.aio.Channel, service: str = "") -> str:
    """Return the health of a service by name, for example "SERVING"."""
    stub = health_pb2_grpc.HealthStub(channel)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


async def reflected_services(channel: grpc.aio.Channel) -> set[str]:
    """Return the full names of the services that reflection lists."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for reply in stub.ServerReflectionInfo(iter([request]), timeout=10):
        return {entry.name for entry in reply.list_services_response.service}
    return set()


async def call_bytes(channel: grpc.aio.Channel, method: str, content: bytes) -> Outcome:
    """Call `method` ("/package.Service/Method") with bytes that no client library would send."""
    raw: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return await outcome_of(raw(content, timeout=10))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
