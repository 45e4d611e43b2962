from __future__ import annotations

import subprocess
import sys

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

import marquee_client
from marquee_client import MarqueeClient, MarqueeError
from marquee_client.status_details import decode_status_details
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError
from tests.unit.services.client.canned import CannedServer


def test_a_refusal_arrives_with_everything_the_service_said(server: CannedServer) -> None:
    server.failures = [
        InvalidRequest([FieldViolation("items[3].title", "is empty"), FieldViolation("items[4].tags", "too many")])
    ]
    with MarqueeClient(server.target, request_id="r-1") as client, pytest.raises(MarqueeError) as caught:
        client.recommend("196")
    error = caught.value
    assert type(error) is marquee_client.InvalidArgument
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_FIELD"
    assert error.message == str(error) == "items[3].title: is empty (and 1 more)"
    assert [violation.field for violation in error.field_violations] == ["items[3].title", "items[4].tags"]
    assert error.metadata == {"field": "items[3].title"}
    assert error.retry_after is None
    assert error.request_id == "r-1"


def test_when_to_try_again_arrives(server: CannedServer) -> None:
    server.failures = [ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "busy", retry_after_seconds=0.25)]
    with MarqueeClient(server.target) as client, pytest.raises(marquee_client.ResourceExhausted) as caught:
        client.recommend("196")
    assert caught.value.retry_after == 0.25


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, marquee_client.InvalidArgument),
        (grpc.StatusCode.OUT_OF_RANGE, marquee_client.InvalidArgument),
        (grpc.StatusCode.NOT_FOUND, marquee_client.NotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, marquee_client.FailedPrecondition),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, marquee_client.ResourceExhausted),
        (grpc.StatusCode.DEADLINE_EXCEEDED, marquee_client.DeadlineExceeded),
        (grpc.StatusCode.PERMISSION_DENIED, marquee_client.PermissionDenied),
        (grpc.StatusCode.UNAUTHENTICATED, marquee_client.Unauthenticated),
        (grpc.StatusCode.UNIMPLEMENTED, marquee_client.Unimplemented),
        (grpc.StatusCode.CANCELLED, marquee_client.Cancelled),
        (grpc.StatusCode.INTERNAL, marquee_client.InternalError),
        (grpc.StatusCode.DATA_LOSS, MarqueeError),
    ],
)
def test_each_status_has_its_class_even_without_details(
    server: CannedServer, code: grpc.StatusCode, expected: type[MarqueeError]
) -> None:
    server.failures = [code]
    with MarqueeClient(server.target) as client, pytest.raises(MarqueeError) as caught:
        client.recommend("196")
    assert type(caught.value) is expected
    assert (caught.value.code, caught.value.message, caught.value.reason) == (code, f"plain {code.name}", "")


def test_quota_failures_and_unknown_details_are_read() -> None:
    status = status_pb2.Status(code=8, message="slow down")
    for detail in (
        error_details_pb2.Help(links=[{"url": "https://example.org"}]),
        error_details_pb2.QuotaFailure(violations=[{"subject": "calls", "description": "100 a second"}]),
    ):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    details = decode_status_details(status.SerializeToString())
    assert details.message == "slow down"
    assert details.quota_violations == [marquee_client.QuotaViolation("calls", "100 a second")]


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff", b"\x0a\x05ab"])
def test_broken_details_are_no_details(content: bytes) -> None:
    assert decode_status_details(content).reason == ""


@pytest.mark.parametrize("order", ["client first", "client last"])
def test_the_public_google_messages_may_be_imported_too(order: str) -> None:
    imports = ["import marquee_client", "from google.rpc import error_details_pb2, status_pb2"]
    if order == "client last":
        imports.reverse()
    use = "assert error_details_pb2.ErrorInfo(reason='X').reason == 'X'"
    subprocess.run([sys.executable, "-c", "; ".join([*imports, use])], check=True, env=_environment())


def test_the_client_needs_no_other_package() -> None:
    script = (
        "import sys, marquee_client; "
        "roots = {name.partition('.')[0] for name in sys.modules}; "
        "assert not roots & {'services', 'pydantic', 'structlog', 'typer', 'rich', 'numpy', 'yaml'}, roots; "
        "assert 'google.rpc' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=_environment())


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(entry for entry in sys.path if entry)}
