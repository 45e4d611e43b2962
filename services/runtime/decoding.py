"""Parse request bytes, and when they cannot be parsed, say which field is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.runtime.errors import FieldViolation, InvalidRequest

MessageT = TypeVar("MessageT", bound=Message)

# Naming the field is a courtesy: a message of millions of fields must not stop the event loop for it.
_MOST_FIELDS = 10_000
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


def parse_request(message_type: type[MessageT], content: bytes) -> MessageT:
    """Parse `content` as `message_type`.

    Raises:
        InvalidRequest: the bytes are no such message; names the text field that is not UTF-8 where that is the cause.
    """
    try:
        return message_type.FromString(content)
    except DecodeError:
        field = find_invalid_text(message_type.DESCRIPTOR, content)
        if field is not None:
            raise InvalidRequest([FieldViolation(field, "is not valid UTF-8 text")], "INVALID_TEXT") from None
        description = f"is no valid {message_type.DESCRIPTOR.full_name}; check that the client uses the same contracts"
        raise InvalidRequest([FieldViolation("request", description)], "INVALID_MESSAGE") from None


def find_invalid_text(descriptor: Any, content: bytes) -> str | None:
    """Return the path of the first string field of an encoded message that is not UTF-8; None when there is none among
    its first fields, or when the bytes are no message.
    """
    try:
        return _search(descriptor, content, "", iter(range(_MOST_FIELDS)))
    except IndexError:
        return None


def _search(descriptor: Any, content: bytes, prefix: str, budget: Iterator[int]) -> str | None:
    positions: dict[int, int] = {}
    for number, data in _length_delimited_fields(content):
        if next(budget, None) is None:
            return None
        field = descriptor.fields_by_number.get(number)
        if field is None:
            continue
        position = positions.get(number, 0)
        positions[number] = position + 1
        path = f"{prefix}{field.name}" + (f"[{position}]" if field.is_repeated else "")
        found = _check_field(field, data, path, budget)
        if found is not None:
            return found
    return None


def _check_field(field: FieldDescriptor, data: bytes, path: str, budget: Iterator[int]) -> str | None:
    if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None:
        return _search(field.message_type, data, f"{path}.", budget)
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return path
    return None


def _length_delimited_fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of the strings, bytes and messages of an encoded message; raises IndexError where the
    bytes are none.
    """
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _varint(content, place)
        elif kind == _LENGTH_DELIMITED:
            size, place = _varint(content, place)
            yield tag >> 3, content[place : place + size]
            place += size
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        else:
            return


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
