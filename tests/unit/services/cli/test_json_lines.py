from __future__ import annotations

import io

import pytest

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_PLAY, Event
from services.cli.json_lines import Line, Refusal, read_lines


def read(content: bytes) -> list[Line[Item] | Refusal]:
    return list(read_lines(io.BytesIO(content), Item))


def test_a_line_is_a_message_of_the_contract() -> None:
    content = (
        b'{"event_id": "e", "user_id": "u", "item_id": "i", "kind": "EVENT_KIND_PLAY", "watched_fraction": 0.5,'
        b' "event_time": "2026-11-23T20:15:00Z"}'
    )
    (line,) = read_lines(io.BytesIO(content), Event)
    assert isinstance(line, Line)
    assert (line.number, line.message.kind, line.message.watched_fraction) == (1, EVENT_KIND_PLAY, 0.5)
    assert line.message.event_time.ToJsonString() == "2026-11-23T20:15:00Z"


def test_camel_case_is_understood_too() -> None:
    (line,) = read(b'{"itemId": "i", "releaseYear": 1999}')
    assert isinstance(line, Line)
    assert line.message.release_year == 1999


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\r\n  \r\n"])
def test_nothing_gives_nothing(content: bytes) -> None:
    assert read(content) == []


def test_byte_order_mark_and_both_line_endings_are_fine() -> None:
    lines = read(b'\xef\xbb\xbf{"item_id": "a"}\r\n\r\n{"item_id": "b"}\n{"item_id": "c"}')
    assert [(line.number, line.message.item_id) for line in lines if isinstance(line, Line)] == [
        (1, "a"),
        (3, "b"),
        (4, "c"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"item_id": "a"', "is no JSON"),
        (b'{"item_id": "a", "colour": "red"}', 'no field named "colour"'),
        (b'{"item_id": 7}', "item_id"),
        (b'{"release_year": "soon"}', "release_year"),
        (b"[1]", "JSON object"),
        (b"null", "JSON object"),
        (b'"text"', "JSON object"),
        (b"[" * 50_000, "JSON"),
        (b'{"item_id": "\xff"}', "is not UTF-8: byte 13"),
    ],
)
def test_a_bad_line_is_named_and_the_others_go_on(line: bytes, reason: str) -> None:
    first, second, third = read(b'{"item_id": "a"}\n' + line + b'\n{"item_id": "c"}\n')
    assert isinstance(first, Line)
    assert isinstance(third, Line)
    assert isinstance(second, Refusal)
    assert second.number == 2
    assert reason in second.reason
    assert "\n" not in second.reason
