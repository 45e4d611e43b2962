"""The errors a service may answer with, and the one place that turns them into gRPC status and `google.rpc` details.

Code below the transport raises `ServiceError` or a subclass; nothing else leaves the process: any other exception
becomes
INTERNAL with a request id, and its text goes to the log only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "marquee.dev"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
# Clients refuse trailers of more than 8 KiB, and then see neither the code nor the details.
_LONGEST_MESSAGE = 1_000
_LARGEST_VIOLATIONS_BYTES = 3_000


@dataclass(frozen=True)
class FieldViolation:
    """One invalid field: its path in the request, for example `items[3].title`, and what is wrong with the limit."""

    field: str
    description: str


class ServiceError(Exception):
    """An error the caller may see.

    Args:
        code: canonical gRPC code.
        reason: UPPER_SNAKE_CASE constant for programs (`ErrorInfo.reason`).
        message: one sentence for a person that says what to do next.
        metadata: further facts for programs (`ErrorInfo.metadata`).
        violations: invalid fields (`BadRequest`).
        retry_after_seconds: when trying again makes sense (`RetryInfo`); None leaves it out.
        resource: (type, name) of what was not found (`ResourceInfo`); None leaves it out.
        quota: (subject, description) of the limit that overload has reached (`QuotaFailure`); None leaves it out.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_seconds: float | None = None,
        resource: tuple[str, str] | None = None,
        quota: tuple[str, str] | None = None,
    ) -> None:
        if len(message) > _LONGEST_MESSAGE:
            message = f"{message[: _LONGEST_MESSAGE - 1]}…"
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds
        self.resource = resource
        self.quota = quota


class InvalidRequest(ServiceError):
    """INVALID_ARGUMENT with one `BadRequest.FieldViolation` for each invalid field."""

    def __init__(self, violations: Sequence[FieldViolation], reason: str = "INVALID_FIELD") -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(
            grpc.StatusCode.INVALID_ARGUMENT,
            reason,
            f"{first.field}: {first.description}{more}",
            metadata={"field": first.field},
            violations=violations,
        )


class NotFound(ServiceError):
    """NOT_FOUND naming the request's field, the kind of resource and its name."""

    def __init__(self, field: str, resource_type: str, name: str, advice: str = "") -> None:
        message = f"{field}: no {resource_type} {name!r}" + (f"; {advice}" if advice else "")
        super().__init__(
            grpc.StatusCode.NOT_FOUND,
            f"{resource_type.upper().replace(' ', '_')}_NOT_FOUND",
            message,
            metadata={"field": field},
            violations=[FieldViolation(field, f"no {resource_type} {name!r}")],
            resource=(resource_type, name),
        )


class FailedPrecondition(ServiceError):
    """FAILED_PRECONDITION: the system is not in the state the call needs; the message says how to get it there."""

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(grpc.StatusCode.FAILED_PRECONDITION, reason, message, metadata=metadata)


class Unavailable(ServiceError):
    """UNAVAILABLE: the same call may succeed after `retry_after_seconds`."""

    def __init__(self, reason: str, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(grpc.StatusCode.UNAVAILABLE, reason, message, retry_after_seconds=retry_after_seconds)


class DeadlinePassed(ServiceError):
    """DEADLINE_EXCEEDED noticed by the service before or while it worked."""

    def __init__(self, message: str = "the caller's deadline passed before the work was done") -> None:
        super().__init__(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message)


def internal_error(request_id: str) -> ServiceError:
    """Return the INTERNAL error for an unexpected exception; the log holds the exception under the same request id."""
    return ServiceError(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"internal error; quote request id {request_id} when you report it",
        metadata={"request_id": request_id},
    )


def status_details(error: ServiceError) -> bytes:
    """Serialise the error as `google.rpc.Status`, the value of the `grpc-status-details-bin` trailer."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.violations:
        details.append(_bad_request(error.violations))
    if error.resource is not None:
        details.append(error_details_pb2.ResourceInfo(resource_type=error.resource[0], resource_name=error.resource[1]))
    if error.quota is not None:
        violation = error_details_pb2.QuotaFailure.Violation(subject=error.quota[0], description=error.quota[1])
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    code: int = error.code.value[0]
    status = status_pb2.Status(code=code, message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    content: bytes = status.SerializeToString()
    return content


def _bad_request(violations: Sequence[FieldViolation]) -> Message:
    """Return the first violation and as many more as fit into a trailer."""
    request = error_details_pb2.BadRequest()
    for violation in violations:
        added = error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
        if request.field_violations and request.ByteSize() + added.ByteSize() > _LARGEST_VIOLATIONS_BYTES:
            break
        request.field_violations.append(added)
    return cast("Message", request)
