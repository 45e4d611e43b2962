"""What a model service answers a call with, as this service's own error."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

from services.orchestrator.mesh import MeshError
from services.runtime.errors import (
    STATUS_DETAILS_KEY,
    DeadlinePassed,
    FieldViolation,
    ServiceError,
    Unavailable,
)

_CALLERS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


def as_service_error(error: MeshError, when_late: str) -> ServiceError:
    """Return the error for our caller: what the caller can mend keeps its code, reason and fields; the rest is ours.

    Args:
        error: the failed call.
        when_late: what the caller can do when the time was too short.
    """
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlinePassed(f"the {error.family} service was not done before the deadline; {when_late}")
    if error.code not in _CALLERS:
        return Unavailable(f"{error.family.upper()}_SERVICE_UNAVAILABLE", f"{error.summary()}; try again later")
    info, violations, retry = error_details(error.cause)
    return ServiceError(
        error.code,
        info.reason or error.code.name,
        error.details or error.summary(),
        metadata=dict(info.metadata),
        violations=violations,
        retry_after_seconds=retry,
    )


def error_details(
    cause: grpc.aio.AioRpcError,
) -> tuple[error_details_pb2.ErrorInfo, list[FieldViolation], float | None]:
    """Return reason and facts, the fields that are wrong, and the seconds after which to try again, as far as given."""
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    seconds = None
    for key, value in cause.trailing_metadata() or ():
        if key != STATUS_DETAILS_KEY or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            detail.Unpack(info)
            detail.Unpack(request)
            if detail.Unpack(retry):
                seconds = retry.retry_delay.ToMilliseconds() / 1000
    return info, [FieldViolation(one.field, one.description) for one in request.field_violations], seconds
