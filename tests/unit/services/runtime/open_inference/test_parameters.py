from __future__ import annotations

import pytest

from inference import open_inference_pb2 as pb
from services.runtime.errors import InvalidRequest
from services.runtime.open_inference.parameters import USUAL, InferOptions, read_options
from services.runtime.request_context import Priority


def request(**parameters: pb.InferParameter) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(parameters=parameters)


def number(value: int) -> pb.InferParameter:
    return pb.InferParameter(uint64_param=value)


def refusal(asked: pb.ModelInferRequest) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        read_options(asked)
    return {violation.field: violation.description for violation in refused.value.violations}


def test_no_parameters_are_the_usual_ones() -> None:
    assert read_options(request()) is USUAL


@pytest.mark.parametrize(
    ("level", "priority"),
    [(0, None), (1, Priority.HIGH), (2, Priority.NORMAL), (3, Priority.LOW), (2**31, Priority.LOW)],
)
def test_priorities(level: int, priority: Priority | None) -> None:
    assert read_options(request(priority=number(level))).priority is priority


def test_a_timeout_is_in_microseconds() -> None:
    asked = request(timeout=pb.InferParameter(int64_param=250_000))
    assert read_options(asked) == InferOptions(None, 0.25)
    assert read_options(request(timeout=number(0))).timeout_seconds is None


@pytest.mark.parametrize("name", ["binary_data_output", "triton_enable_empty_final_response"])
def test_what_changes_nothing_is_accepted(name: str) -> None:
    assert read_options(request(**{name: pb.InferParameter(bool_param=True)})) == USUAL


@pytest.mark.parametrize(
    ("name", "words"),
    [("sequence_id", "state"), ("classification", "largest"), ("temperature", "no such parameter"), ("", "no such")],
)
def test_what_there_is_not_is_refused_with_a_reason(name: str, words: str) -> None:
    assert words in refusal(request(**{name: number(1)}))[f"parameters[{name}]"]


@pytest.mark.parametrize(
    "value",
    [
        pb.InferParameter(),
        pb.InferParameter(string_param="1"),
        pb.InferParameter(double_param=1.0),
        pb.InferParameter(int64_param=-1),
        pb.InferParameter(uint64_param=2**64 - 1),
    ],
)
@pytest.mark.parametrize("name", ["priority", "timeout"])
def test_bad_values_are_refused(name: str, value: pb.InferParameter) -> None:
    assert set(refusal(request(**{name: value}))) == {f"parameters[{name}]"}


def test_all_bad_parameters_are_told_together() -> None:
    assert len(refusal(request(sequence_id=number(1), sequence_start=number(1), timeout=pb.InferParameter()))) == 3
