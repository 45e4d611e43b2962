"""Parse request bytes, and when they cannot be parsed, say which field is to blame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from google.protobuf import empty_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from services.runtime.errors import FieldViolation, InvalidRequest

MessageT = TypeVar("MessageT", bound=Message)

_LENGTH_DELIMITED = 2


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


def find_invalid_text(descriptor: Any, content: bytes, prefix: str = "") -> str | None:
    """Return the path of the first string field of an encoded message that is not UTF-8, or None."""
    carrier = empty_pb2.Empty()
    try:
        carrier.ParseFromString(content)
    except DecodeError:
        return None
    positions: dict[int, int] = {}
    for unknown in _unknown_fields(carrier):
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or unknown.wire_type != _LENGTH_DELIMITED:
            continue
        position = positions.get(field.number, 0)
        positions[field.number] = position + 1
        path = f"{prefix}{field.name}" + (f"[{position}]" if field.is_repeated else "")
        found = _check_field(field, unknown.data, path)
        if found is not None:
            return found
    return None


def _unknown_fields(message: Message) -> Iterable[Any]:
    # The set can be iterated; its type stub does not know.
    return cast("Iterable[Any]", UnknownFieldSet(message))


def _check_field(field: FieldDescriptor, data: bytes, path: str) -> str | None:
    if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None:
        return find_invalid_text(field.message_type, data, f"{path}.")
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return path
    return None
