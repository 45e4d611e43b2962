from __future__ import annotations

import grpc
import pytest

from services.runtime.errors import (
    DOMAIN,
    DeadlinePassed,
    FailedPrecondition,
    FieldViolation,
    InvalidRequest,
    NotFound,
    ServiceError,
    Unavailable,
    internal_error,
    status_details,
)
from tests.support.clients import decode_status, unpack

# The default of gRPC's clients; beyond it a caller sees RESOURCE_EXHAUSTED instead of the error.
LARGEST_TRAILER_BYTES = 8 * 1024


def test_invalid_request_names_every_field_in_its_details() -> None:
    error = InvalidRequest([FieldViolation("texts[1]", "is empty"), FieldViolation("top_count", "is -1")])
    status = decode_status(status_details(error))
    details = unpack(status)
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert status.message == error.message == "texts[1]: is empty (and 1 more)"
    assert [(one.field, one.description) for one in details["BadRequest"].field_violations] == [
        ("texts[1]", "is empty"),
        ("top_count", "is -1"),
    ]
    assert details["ErrorInfo"].reason == "INVALID_FIELD"
    assert details["ErrorInfo"].domain == DOMAIN
    assert dict(details["ErrorInfo"].metadata) == {"field": "texts[1]"}


def test_not_found_names_field_kind_and_name_and_says_what_to_do() -> None:
    error = NotFound("model", "model", "gpt", "this service has minilm")
    details = unpack(decode_status(status_details(error)))
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert error.message == "model: no model 'gpt'; this service has minilm"
    assert details["ErrorInfo"].reason == "MODEL_NOT_FOUND"
    assert (details["ResourceInfo"].resource_type, details["ResourceInfo"].resource_name) == ("model", "gpt")
    assert details["BadRequest"].field_violations[0].field == "model"


def test_unavailable_says_when_to_try_again() -> None:
    details = unpack(decode_status(status_details(Unavailable("MODEL_NOT_READY", "later", retry_after_seconds=1.5))))
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 1500


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedPrecondition("BUNDLE_NOT_LOADED", "load it"), grpc.StatusCode.FAILED_PRECONDITION),
        (DeadlinePassed(), grpc.StatusCode.DEADLINE_EXCEEDED),
        (internal_error("abc"), grpc.StatusCode.INTERNAL),
    ],
)
def test_every_error_carries_its_code_reason_and_domain(error: ServiceError, code: grpc.StatusCode) -> None:
    status = decode_status(status_details(error))
    details = unpack(status)
    assert status.code == code.value[0]
    assert details["ErrorInfo"].reason == error.reason
    assert details["ErrorInfo"].domain == DOMAIN
    assert set(details) == {"ErrorInfo"}, "no empty details"


def test_an_internal_error_tells_the_request_id_and_nothing_else() -> None:
    error = internal_error("4711")
    assert "4711" in error.message
    assert error.metadata == {"request_id": "4711"}


def test_many_long_violations_still_fit_into_a_trailer() -> None:
    violations = [FieldViolation(f"query.scorers[{index}]", "🎬" * 80) for index in range(50)]
    content = status_details(InvalidRequest(violations))
    details = unpack(decode_status(content))
    kept = details["BadRequest"].field_violations
    assert len(content) * 4 / 3 < LARGEST_TRAILER_BYTES, "on the wire the details are base64"
    assert 1 <= len(kept) < 50
    assert kept[0].field == "query.scorers[0]", "the first is the one the message names"


def test_one_violation_is_kept_however_long_it_is() -> None:
    details = unpack(decode_status(status_details(InvalidRequest([FieldViolation("field", "x" * 4_000)]))))
    assert len(details["BadRequest"].field_violations) == 1


def test_an_endless_message_is_cut() -> None:
    error = FailedPrecondition("BUNDLE_REFUSED", "x" * 100_000)
    assert len(error.message) == 1_000
    assert error.message.endswith("…")
