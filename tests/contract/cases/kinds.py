"""The kinds of cases. A family's module lists its own; the tests of this folder run them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import numpy
import numpy.typing
from google.protobuf.message import Message

Floats = numpy.typing.NDArray[numpy.float32]
Request: TypeAlias = Message | Sequence[Message]
"""One message, or what the caller of a stream sends, in order."""


@dataclass(frozen=True)
class Answer:
    """What one input got, whatever else was in its request: a vector, labels best first, or both."""

    vector: Floats | None = None
    labels: Sequence[str] = ()
    scores: Sequence[float] = ()


@dataclass(frozen=True)
class GoodCall:
    """A request that must be answered.

    Attributes:
        method: "/package.Service/Method".
        model: name that the reply's report must carry; empty accepts any.
    """

    name: str
    method: str
    request: Request
    model: str = ""


@dataclass(frozen=True)
class IndependenceCase:
    """The same inputs asked together and alone.

    Attributes:
        together: one request with all inputs.
        alone: one request an input, in the order of `together`.
        answers: takes the answers out of a reply, in the order of its inputs.
    """

    name: str
    method: str
    together: Message
    alone: Sequence[Message]
    answers: Callable[[Any], Sequence[Answer]]


@dataclass(frozen=True)
class CompanyCase:
    """Requests that must get the same replies at once as one after the other."""

    name: str
    method: str
    requests: Sequence[Request]


@dataclass(frozen=True)
class BadCall:
    """A request that must be refused.

    Attributes:
        request: a message, or bytes that no client library would send.
        field: field that the details must name; empty when there is none to name.
        seconds: deadline of the call; negative is one that has passed (zero is rounded up on its way).
    """

    name: str
    method: str
    request: Request | bytes
    code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
    field: str = ""
    reason: str = ""
    seconds: float = 30.0


@dataclass(frozen=True)
class Cases:
    """Everything one family is asked.

    Attributes:
        models: name → version of every model that the service must have.
        scorers: scorers that the service serves from the tests' bundle.
    """

    good: Sequence[GoodCall]
    bad: Sequence[BadCall]
    independence: Sequence[IndependenceCase]
    scorers: Sequence[str]
    models: dict[str, str] = field(default_factory=dict)
    company: Sequence[CompanyCase] = ()


def invalid_text(message: Message, marker: str = "@@") -> bytes:
    """Serialise a message with `marker`, two characters, replaced by two bytes that are not UTF-8."""
    content: bytes = message.SerializeToString()
    if content.count(marker.encode()) != 1:
        raise ValueError(f"the message must hold {marker!r} once")
    return content.replace(marker.encode(), b"\xff\xfe")


def unpack_vectors(reply: Any) -> list[Answer]:
    """Take the vectors out of a reply with `vectors` and `dimensions`."""
    found = [numpy.frombuffer(vector.values, "<f4").astype(numpy.float32) for vector in reply.vectors]
    if any(len(vector) != reply.dimensions for vector in found):
        raise ValueError("a vector has another length than the reply says")
    return [Answer(vector=vector) for vector in found]
