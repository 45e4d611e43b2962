"""Reads failed calls to the model services: is it the service or the input, and which part of the input."""

from __future__ import annotations

import re

import grpc
from google.rpc import error_details_pb2, status_pb2

from services.runtime.errors import STATUS_DETAILS_KEY, FieldViolation, ServiceError

CALL_FAILURES = (ServiceError, grpc.RpcError, TimeoutError)
"""What a call to a model service may raise."""

_INDEX = re.compile(r"\[(\d+)\]")


def is_invalid_input(error: BaseException) -> bool:
    """Return whether the service refused the input for good, rather than failing."""
    return _code(error) == grpc.StatusCode.INVALID_ARGUMENT


def describe_failure(error: BaseException) -> str:
    """Return a few words for a step report; never the other side's raw text."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    code = _code(error)
    return f"{code.name if code else 'UNKNOWN'}"


def invalid_entries(error: BaseException) -> list[tuple[int | None, str]]:
    """Return (index of the entry, what is wrong with it) for each violation; the index is None where the
    field names none.
    """
    found: list[tuple[int | None, str]] = []
    for violation in _violations(error):
        match = _INDEX.search(violation.field)
        found.append((int(match[1]) if match else None, violation.description))
    return found or [(None, "was refused by the model service")]


def _code(error: BaseException) -> grpc.StatusCode | None:
    if isinstance(error, ServiceError):
        return error.code
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code()
    return None


def _violations(error: BaseException) -> list[FieldViolation]:
    if isinstance(error, ServiceError):
        return list(error.violations)
    if not isinstance(error, grpc.aio.AioRpcError):
        return []
    bad_request = error_details_pb2.BadRequest()
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(bad_request):
                    return [FieldViolation(entry.field, entry.description) for entry in bad_request.field_violations]
    return []
