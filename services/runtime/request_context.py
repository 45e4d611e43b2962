"""Facts about the call that is being served, available anywhere below the transport."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from services.runtime.errors import DeadlinePassed
from services.runtime.validation import DEFAULT_TENANT

CallContext: TypeAlias = grpc.aio.ServicerContext[Any, Any]
"""The transport's own context, as servicers receive it; they rarely need it."""

REQUEST_ID_KEY = "x-request-id"
_MAXIMUM_REQUEST_ID = 128


@dataclass(frozen=True)
class RequestContext:
    """One call: who asks, under which id, and until when an answer is of use."""

    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    tenant: str = DEFAULT_TENANT
    deadline: float | None = None
    """Moment on the monotonic clock, in seconds, after which nobody waits for the answer; None without a deadline."""
    start: float = field(default_factory=time.monotonic)
    """Moment on the monotonic clock, in seconds, when the call arrived."""

    def remaining_seconds(self) -> float | None:
        """Return the seconds left until the deadline (negative when it passed), or None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def check_deadline(self) -> None:
        """Raise `DeadlinePassed` when nobody waits for the answer any more, so that no work is done for nothing."""
        remaining = self.remaining_seconds()
        if remaining is not None and remaining <= 0:
            raise DeadlinePassed


_current: ContextVar[RequestContext | None] = ContextVar("marquee_request", default=None)


def current_request() -> RequestContext:
    """Return the context of the call being served; outside a call, a fresh one without a deadline."""
    return _current.get() or RequestContext()


def enter_request(context: RequestContext) -> None:
    """Make `context` the current one for the running task and the tasks it starts."""
    _current.set(context)


def request_id_from(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Return the caller's request id when it sent a usable one, else a new one."""
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _usable(value):
            return value
    return uuid.uuid4().hex


def _usable(request_id: str) -> bool:
    # It goes back in a trailer, which takes printable ASCII only.
    return 0 < len(request_id) <= _MAXIMUM_REQUEST_ID and request_id.isascii() and request_id.isprintable()
