"""The one place that turns a failed gRPC call into an error of the client."""

from __future__ import annotations

from typing import Any

import grpc

from marquee_client import errors
from marquee_client.status_details import decode_status_details

REQUEST_ID_KEY = "x-request-id"
_STATUS_DETAILS_KEY = "grpc-status-details-bin"

_CLASSES: dict[grpc.StatusCode, type[errors.MarqueeError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
    grpc.StatusCode.INTERNAL: errors.InternalError,
}


def error_from(failure: grpc.RpcError, request_id: str = "") -> errors.MarqueeError:
    """Return the client's error for a failed call, synchronous or asynchronous.

    Args:
        failure: what grpcio raised.
        request_id: id that was sent with the call, for answers that do not name it.
    """
    call: Any = failure  # grpcio raises the call itself; its two flavours share these three methods
    code = call.code() or grpc.StatusCode.UNKNOWN
    trailers: dict[str, str | bytes] = dict(call.trailing_metadata() or ())
    content = trailers.get(_STATUS_DETAILS_KEY, b"")
    details = decode_status_details(content if isinstance(content, bytes) else b"")
    answered_id = trailers.get(REQUEST_ID_KEY)
    return _CLASSES.get(code, errors.MarqueeError)(
        code,
        details.message or call.details() or code.name,
        reason=details.reason,
        field_violations=details.field_violations,
        metadata=details.metadata,
        retry_after=details.retry_after,
        quota_violations=details.quota_violations,
        resource=details.resource,
        request_id=answered_id if isinstance(answered_id, str) else request_id,
    )
