"""Facts about the call that is being served, available anywhere below the transport."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from enum import IntEnum
from itertools import count
from typing import Any, TypeAlias

import grpc

from services.runtime.errors import DeadlinePassed, FieldViolation, InvalidRequest
from services.runtime.validation import DEFAULT_TENANT, Violations

CallContext: TypeAlias = grpc.aio.ServicerContext[Any, Any]
"""The transport's own context, as servicers receive it; they rarely need it."""

REQUEST_ID_KEY = "x-request-id"
TENANT_KEY = "x-marquee-tenant"
PRIORITY_KEY = "x-marquee-priority"
_MAXIMUM_REQUEST_ID = 128
# Ids of one process differ in their number, those of different processes in their beginning: a random id a call would
# cost more than looking it up is worth.
_process_id = uuid.uuid4().hex[:16]
_numbers = count(1)


class Priority(IntEnum):
    """How urgent a call is. Work of a lower number runs first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


_PRIORITIES = {priority.name.lower(): priority for priority in Priority}


class RequestContext:
    """One call: who asks, under which id, and until when an answer is of use.

    Attributes:
        request_id: id that the caller sent or that was made for it.
        tenant: whose call it is.
        deadline: moment on the monotonic clock, in seconds, after which nobody waits for the answer; None without one.
        start: moment on the monotonic clock, in seconds, when the call arrived.
        priority: how urgent it is.
        span: the call's span while it is traced.
    """

    __slots__ = ("deadline", "priority", "request_id", "span", "start", "tenant")

    def __init__(
        self,
        request_id: str = "",
        tenant: str = DEFAULT_TENANT,
        deadline: float | None = None,
        start: float | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        self.request_id = request_id or new_request_id()
        self.tenant = tenant
        self.deadline = deadline
        self.start = time.monotonic() if start is None else start
        self.priority = priority
        self.span: Any = None

    def remaining_seconds(self) -> float | None:
        """Return the seconds left until the deadline (negative when it passed), or None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def check_deadline(self) -> None:
        """Raise `DeadlinePassed` when nobody waits for the answer any more, so that no work is done for nothing."""
        if self.deadline is not None and self.deadline <= time.monotonic():
            raise DeadlinePassed


_current: ContextVar[RequestContext | None] = ContextVar("marquee_request", default=None)


def current_request() -> RequestContext:
    """Return the context of the call being served; outside a call, a fresh one without a deadline."""
    return _current.get() or RequestContext()


def current_request_or_none() -> RequestContext | None:
    """Return the context of the call being served, None outside a call."""
    return _current.get()


def enter_request(context: RequestContext) -> None:
    """Make `context` the current one for the running task and the tasks it starts."""
    _current.set(context)


def new_request_id() -> str:
    """Return an id that no other call has."""
    return f"{_process_id}{next(_numbers):016x}"


def read_metadata(
    context: RequestContext, metadata: Iterable[tuple[str, str | bytes]] | None, take_tenant: bool = True
) -> None:
    """Take request id, tenant and priority from a call's metadata.

    Args:
        context: the call.
        metadata: what its caller sent.
        take_tenant: whether callers may say whose call it is.

    Raises:
        InvalidRequest: the tenant or the priority is none, or the tenant is not the caller's to name.
    """
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY:
            if isinstance(value, str) and _usable(value):
                context.request_id = value
        elif key == TENANT_KEY:
            check = Violations()
            tenant = check.tenant(f"metadata {TENANT_KEY}", str(value))
            if not take_tenant and tenant != context.tenant:
                check.add(f"metadata {TENANT_KEY}", "is not taken from callers here; leave it out")
            check.raise_if_any()
            context.tenant = tenant
        elif key == PRIORITY_KEY:
            priority = _PRIORITIES.get(str(value))
            if priority is None:
                description = f"is {str(value)[:40]!r}; it must be one of {', '.join(_PRIORITIES)}"
                raise InvalidRequest([FieldViolation(f"metadata {PRIORITY_KEY}", description)])
            context.priority = priority


def _usable(request_id: str) -> bool:
    # It goes back in a trailer, which takes printable ASCII only.
    return 0 < len(request_id) <= _MAXIMUM_REQUEST_ID and request_id.isascii() and request_id.isprintable()
