from __future__ import annotations

import pytest
from google.protobuf.message import Message

from marquee.classical.v1 import classical_service_pb2
from marquee.common.v1 import candidate_pb2
from marquee.text.v1 import text_service_pb2 as pb
from services.runtime.decoding import parse_request
from services.runtime.errors import InvalidRequest

BAD = b"\xff\xfe"


def with_bad_text(message: Message, marker: str) -> bytes:
    """Serialise a message and replace `marker`, two ASCII characters, by two bytes that are not UTF-8."""
    content = message.SerializeToString()
    assert content.count(marker.encode()) == 1
    return content.replace(marker.encode(), BAD)


def refusal(message_type: type[Message], content: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse_request(message_type, content)
    return refused.value


def test_a_good_message_is_parsed() -> None:
    request = pb.EmbedTextRequest(texts=["a", "ü"], model="m")
    assert parse_request(pb.EmbedTextRequest, request.SerializeToString()) == request


def test_an_empty_message_is_a_message() -> None:
    assert parse_request(pb.EmbedTextRequest, b"") == pb.EmbedTextRequest()


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.EmbedTextRequest(texts=["a"], model="@@"), "model"),
        (pb.EmbedTextRequest(texts=["a", "b", "@@", "c"]), "texts[2]"),
        (pb.ClassifyTextRequest(texts=["a", "b"], labels=["c", "@@"], top_count=3), "labels[1]"),
        (
            pb.GenerateCandidatesRequest(query=candidate_pb2.CandidateQuery(tenant="t", bundle_version="@@")),
            "query.bundle_version",
        ),
        (
            pb.GenerateCandidatesRequest(
                query=candidate_pb2.CandidateQuery(
                    history=[
                        candidate_pb2.HistoryItem(item_id="a", weight=1.5),
                        candidate_pb2.HistoryItem(weight=2, item_id="@@"),
                    ],
                    allowed_items=b"\xff\xff",
                )
            ),
            "query.history[1].item_id",
        ),
        (
            classical_service_pb2.RankCandidatesRequest(contribution_count=-1, item_ids=["x", "@@"]),
            "item_ids[1]",
        ),
    ],
)
def test_text_that_is_not_utf8_is_named_by_its_path(request_message: Message, field: str) -> None:
    error = refusal(type(request_message), with_bad_text(request_message, "@@"))
    assert error.reason == "INVALID_TEXT"
    assert [violation.field for violation in error.violations] == [field]
    assert error.violations[0].description == "is not valid UTF-8 text"


def test_a_lone_surrogate_is_not_utf8() -> None:
    error = refusal(pb.EmbedTextRequest, b"\x0a\x03\xed\xa0\x80")
    assert error.violations[0].field == "texts[0]"


def test_bytes_fields_may_hold_anything() -> None:
    query = candidate_pb2.CandidateQuery(allowed_items=BAD)
    assert parse_request(candidate_pb2.CandidateQuery, query.SerializeToString()).allowed_items == BAD


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xff\xff\xff",
        b"\x0a\x7fshort",
        b"\x0a",
        b"\x08",
        b"\x0b\x0b\x0b",
        b"\x09\x00",
        b"\x0a" + b"\xff" * 11,
    ],
)
def test_bytes_that_are_no_message_blame_the_request(content: bytes) -> None:
    error = refusal(pb.EmbedTextRequest, content)
    assert error.reason == "INVALID_MESSAGE"
    assert error.violations[0].field == "request"
    assert "marquee.text.v1.EmbedTextRequest" in error.message


def test_the_search_for_the_bad_field_is_bounded() -> None:
    # A message of many fields gets the general answer: naming the field must not cost seconds of everybody's time.
    many = pb.EmbedTextRequest(texts=["a"] * 20_000).SerializeToString()
    error = refusal(pb.EmbedTextRequest, many + b"\x0a\x02" + BAD)
    assert error.violations[0].field == "request"


def test_fields_of_a_newer_contract_are_skipped() -> None:
    unknown = b"\xf2\x3f\x02" + BAD  # field 1,022, length-delimited
    assert parse_request(pb.EmbedTextRequest, unknown + b"\x0a\x01a").texts == ["a"]
    assert refusal(pb.EmbedTextRequest, unknown + b"\x0a\x02" + BAD).violations[0].field == "texts[0]"
