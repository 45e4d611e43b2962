"""Reads messages from JSON lines, the JSON mapping of the contracts, and says which lines are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Generic, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound=Message)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line(Generic[MessageT]):
    """A line that was understood; `number` counts from 1."""

    number: int
    message: MessageT


@dataclass(frozen=True)
class Refusal:
    """A line that was refused, and why."""

    number: int
    reason: str


def read_lines(file: BinaryIO, message_type: type[MessageT]) -> Iterator[Line[MessageT] | Refusal]:
    """Read one message a line; empty lines are skipped, a byte order mark and both line endings are fine.

    Args:
        file: UTF-8 text, open for reading bytes.
        message_type: class of the messages, for example `Item`.
    """
    for number, content in enumerate(file, 1):
        text = content.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else content.strip()
        if not text:
            continue
        try:
            yield Line(number, _message(text, message_type))
        except ValueError as error:
            yield Refusal(number, str(error))


def _message(text: bytes, message_type: type[MessageT]) -> MessageT:
    """Return the message of one line.

    Raises:
        ValueError: what is wrong with the line.
    """
    try:
        entry = json.loads(text.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: byte {error.start} of the line") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("is no JSON that makes sense: it is nested too deeply") from error
    if not isinstance(entry, dict):
        raise ValueError(f"is no {message_type.DESCRIPTOR.name}: that is a JSON object, in braces")
    try:
        return json_format.ParseDict(entry, message_type())
    except json_format.ParseError as error:
        raise ValueError(_reason(error, message_type)) from error


def _reason(error: json_format.ParseError, message_type: type[Message]) -> str:
    # Of several lines, the first says what; the rest repeats the message's type in full.
    first = str(error).strip().splitlines()[0]
    return first.replace(message_type.DESCRIPTOR.full_name, message_type.DESCRIPTOR.name).rstrip(".")
