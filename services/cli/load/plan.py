"""What the generator processes are told to do, and what they answer. Everything here travels between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNIQUE_WIDTH = 24
UNIQUE_MARK = b"~~a-name-for-every-call~"
"""Stands in serialised requests where each call has text of its own; as wide as that text, so lengths stay right."""

COLUMNS = 4
"""Numbers that describe one call in `Calls.numbers`: outcome, intended, lag, service."""
OK = "OK"
NOT_SENT = "NOT_SENT"
UNEXPECTED = "UNEXPECTED_ANSWER"

Arrivals = Literal["poisson", "uniform"]


@dataclass(frozen=True)
class Step:
    """One kind of call, ready to be sent.

    Attributes:
        name: what reports call it.
        method: path of the RPC, "/package.Service/Method".
        address: gRPC target of the service.
        bodies: serialised requests; each call takes one of them at random.
        unique: the bodies contain UNIQUE_MARK, which each call replaces.
        weight: share of the calls, against the weights of the other steps.
        deadline_seconds: a call without an answer by then has failed.
        metadata: sent with each call.
        think_seconds: shortest and longest pause of a caller before the call; closed loop only.
        streaming: the RPC answers with a stream; the call is over when the stream is.
        response_type: full name of the answer's message; needed for `expect` only.
        expect: (path, value) of fields that the answer must have; each answer is parsed for it.
    """

    name: str
    method: str
    address: str
    bodies: tuple[bytes, ...]
    unique: bool = False
    weight: float = 1.0
    deadline_seconds: float = 10.0
    metadata: tuple[tuple[str, str], ...] = ()
    think_seconds: tuple[float, float] = (0.0, 0.0)
    streaming: bool = False
    response_type: str = ""
    expect: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Plan:
    """What one generator process sends, over how many connections to each address."""

    steps: tuple[Step, ...]
    channels: int = 1


@dataclass(frozen=True)
class Segment:
    """One stretch of load of one process.

    Attributes:
        start: first arrival at the earliest, CLOCK_MONOTONIC in nanoseconds; the same for all processes.
        warm_up_seconds: calls intended in this time are sent and not counted.
        seconds: length of the measured time after it.
        rate: calls a second in the open loop; 0 means closed loop.
        arrivals: how the calls of the open loop follow each other.
        phase_seconds: delay of the first uniform arrival, so that processes take turns.
        callers: callers of the closed loop.
        max_in_flight: calls that may be unanswered at once; an arrival beyond is counted as not sent.
        seed: of arrivals and choices.
    """

    start: int
    warm_up_seconds: float
    seconds: float
    rate: float = 0.0
    arrivals: Arrivals = "poisson"
    phase_seconds: float = 0.0
    callers: int = 0
    max_in_flight: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Prepare:
    """Connect to every address of the plan; the seed decides the choices among steps and requests."""

    plan: Plan
    seed: int = 0


@dataclass(frozen=True)
class Stop:
    """End the segment now: send nothing more."""


@dataclass(frozen=True)
class Ready:
    """Everything is connected; `problem` says what is not."""

    problem: str = ""


@dataclass(frozen=True)
class Calls:
    """Calls that ended since the last message.

    Attributes:
        outcomes: (step, code, reason) for each new outcome number, in order.
        numbers: int64 numbers, COLUMNS a call: outcome number; intended time in microseconds after the end of the
            warm-up (negative in it); microseconds from then to the send (-1: never sent); microseconds from the send to
            the end.
        in_flight: calls without an answer now.
    """

    outcomes: tuple[tuple[int, str, str], ...]
    numbers: bytes
    in_flight: int


@dataclass(frozen=True)
class Finished:
    """A segment is over.

    Attributes:
        seconds: measured time; shorter than asked when the run was stopped.
        cpu_seconds: processor time of the process in that time.
        abandoned: calls that were in flight when a stopped run gave up waiting for them.
    """

    seconds: float
    cpu_seconds: float
    abandoned: int = 0
