"""The parameters of requests: which there are, which are refused, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from inference import open_inference_pb2 as pb
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.request_context import Priority

# What clients say about the form of the answer; it has one form only, so they change nothing.
_WITHOUT_EFFECT = frozenset({"binary_data_output", "triton_enable_empty_final_response"})
_STATELESS = "sequences need a model that keeps state between requests, and this service has none"
_NO_SHARED_MEMORY = "shared memory is not supported; send the contents in the request"
_REFUSED = {
    "sequence_id": _STATELESS,
    "sequence_start": _STATELESS,
    "sequence_end": _STATELESS,
    "classification": "classes are not picked by the server; take the largest values of the output",
    "shared_memory_region": _NO_SHARED_MEMORY,
    "shared_memory_byte_size": _NO_SHARED_MEMORY,
    "shared_memory_offset": _NO_SHARED_MEMORY,
}
_LONGEST_TIMEOUT_MICROSECONDS = 3_600_000_000
_LOWEST_PRIORITY = 2**31


class InferOptions(NamedTuple):
    """What a request asks of the data plane.

    Attributes:
        priority: how urgent it is; None leaves it to the call.
        timeout_seconds: how long its answer is of use; None leaves it to the call's deadline.
    """

    priority: Priority | None
    timeout_seconds: float | None


USUAL = InferOptions(None, None)
_PRIORITIES = {0: None, 1: Priority.HIGH, 2: Priority.NORMAL}


def read_options(request: pb.ModelInferRequest) -> InferOptions:
    """Return the options of a request.

    Raises:
        InvalidRequest: a parameter is unknown, not supported, or has a bad value.
    """
    given = request.parameters
    if len(given) == 0:
        return USUAL
    problems: list[FieldViolation] = []
    priority, timeout = None, None
    for name in sorted(given):
        field = f"parameters[{name[:80]}]"
        if name == "priority":
            level = _whole_number(field, given[name], _LOWEST_PRIORITY, problems)
            priority = _PRIORITIES.get(level, Priority.LOW)
        elif name == "timeout":
            microseconds = _whole_number(field, given[name], _LONGEST_TIMEOUT_MICROSECONDS, problems)
            timeout = microseconds / 1e6 if microseconds else None
        elif name not in _WITHOUT_EFFECT:
            problems.append(FieldViolation(field, _REFUSED.get(name, "no such parameter; there are priority, timeout")))
    if problems:
        raise InvalidRequest(problems, "INVALID_PARAMETER")
    return InferOptions(priority, timeout)


def check_output_parameters(field: str, given: Mapping[str, pb.InferParameter]) -> list[FieldViolation]:
    """Return what is wrong with the parameters of a requested output."""
    return [
        FieldViolation(f"{field}[{name[:80]}]", _REFUSED.get(name, "no such parameter of an output"))
        for name in sorted(given)
        if name != "binary_data" and (name != "classification" or given[name].int64_param != 0)
    ]


def _whole_number(field: str, value: pb.InferParameter, maximum: int, problems: list[FieldViolation]) -> int:
    kind = value.WhichOneof("parameter_choice")
    if kind not in {"int64_param", "uint64_param"}:
        problems.append(FieldViolation(field, f"is {kind or 'empty'}; it must be int64_param or uint64_param"))
        return 0
    number: int = getattr(value, kind)
    if not 0 <= number <= maximum:
        problems.append(FieldViolation(field, f"is {number:,}; the range is 0 to {maximum:,}"))
        return 0
    return number
