from __future__ import annotations

import grpc

from services.orchestrator.catalog.service_failures import describe_failure, invalid_entries, is_invalid_input
from services.runtime.errors import FieldViolation, InvalidRequest, Unavailable, status_details
from tests.unit.services.orchestrator.builders import rpc_error

REFUSED = InvalidRequest(
    [FieldViolation("images[3].content", "is truncated"), FieldViolation("images", "are too many")]
)


def test_violations_are_read_from_a_raised_error_and_from_one_that_came_over_the_wire() -> None:
    for error in (REFUSED, rpc_error(grpc.StatusCode.INVALID_ARGUMENT, status_details(REFUSED))):
        assert is_invalid_input(error)
        assert invalid_entries(error) == [(3, "is truncated"), (None, "are too many")]


def test_a_refusal_without_details_is_still_one() -> None:
    error = rpc_error(grpc.StatusCode.INVALID_ARGUMENT)
    assert invalid_entries(error) == [(None, "was refused by the model service")]


def test_other_failures_are_the_service() -> None:
    for error, words in (
        (rpc_error(grpc.StatusCode.UNAVAILABLE), "UNAVAILABLE"),
        (Unavailable("DOWN", "secret address"), "UNAVAILABLE"),
        (TimeoutError(), "no answer in time"),
    ):
        assert not is_invalid_input(error)
        assert describe_failure(error) == words
