"""One call from arrival to its end: request id, tenant, deadline, size, error mapping, and what is counted of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc

from services.runtime.decoding import parse_request
from services.runtime.errors import (
    STATUS_DETAILS_KEY,
    DeadlinePassed,
    FieldViolation,
    ServiceError,
    internal_error,
    status_details,
)
from services.runtime.logs import get_logger
from services.runtime.request_context import REQUEST_ID_KEY, RequestContext, enter_request, read_metadata
from services.runtime.settings import ServiceSettings

_logger = get_logger(__name__)


class Recorder(Protocol):
    """Where the calls of one method are recorded."""

    def begin(self, context: RequestContext, metadata: Any) -> None:
        """Note that a call arrived."""

    def finished(
        self, context: RequestContext, code: grpc.StatusCode, seconds: float, reason: str, message: str
    ) -> None:
        """Note how a call ended."""


class Call:
    """One call of one method.

    Args:
        context: the transport's context.
        settings: limits of the service.
        recorder: where the call is recorded.
        default_deadline: seconds that a call may last whose caller set no deadline.

    Attributes:
        request: what the code below may know of the call.
    """

    __slots__ = ("_context", "_expired", "_limit", "_recorder", "_take_tenant", "_timer", "request")

    def __init__(self, context: Any, settings: ServiceSettings, recorder: Recorder, default_deadline: float) -> None:
        self._context = context
        self._limit = settings.maximum_message_bytes
        self._recorder = recorder
        self._take_tenant = settings.tenant_from_metadata
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None
        start = time.monotonic()
        self.request = request = RequestContext(start=start)
        remaining = context.time_remaining()
        # The transport ends a call at its caller's deadline by itself. A bare timer for the others costs a tenth of
        # `asyncio.timeout`.
        if remaining is None:
            request.deadline = start + default_deadline
            task = asyncio.current_task()
            if task is not None:
                self._timer = asyncio.get_running_loop().call_later(default_deadline, self._expire, task)
        else:
            request.deadline = start + remaining
        enter_request(request)

    def open(self) -> None:
        """Read the call's metadata; raises `InvalidRequest` for a bad tenant or priority."""
        metadata = self._context.invocation_metadata()
        self._recorder.begin(self.request, metadata)
        try:
            read_metadata(self.request, metadata, self._take_tenant)
        finally:
            self._context.set_trailing_metadata(((REQUEST_ID_KEY, self.request.request_id),))

    def parse(self, message_type: Any, content: bytes) -> Any:
        """Return the message; raises `ServiceError` when it is too large or none."""
        if len(content) > self._limit:
            description = f"has {len(content):,} bytes; the limit is {self._limit:,}"
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "MESSAGE_TOO_LARGE",
                f"request {description}; send smaller batches",
                metadata={"limit_bytes": str(self._limit)},
                violations=[FieldViolation("request", description)],
            )
        self.request.check_deadline()
        return parse_request(message_type, content)

    async def parse_stream(self, message_type: Any, contents: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yield the messages of a caller's stream."""
        async for content in contents:
            yield self.parse(message_type, content)

    def finish(self) -> None:
        """Record that the call was answered."""
        request = self.request
        if self._timer is not None:
            self._timer.cancel()
        self._recorder.finished(request, grpc.StatusCode.OK, time.monotonic() - request.start, "", "")

    async def fail(self, error: BaseException) -> None:
        """Record the error and end the call with its status; returns for exceptions that must go on up
        (cancellation).
        """
        request = self.request
        if self._timer is not None:
            self._timer.cancel()
        if self._expired and isinstance(error, asyncio.CancelledError):
            error = DeadlinePassed()
        if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.AbortError):
            late = request.deadline is not None and time.monotonic() >= request.deadline
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
            reason = "DEADLINE_EXCEEDED" if late else "CALLER_LEFT"
            self._recorder.finished(request, code, time.monotonic() - request.start, reason, "")
            return
        if isinstance(error, ServiceError):
            answer = error
        else:
            answer = internal_error(request.request_id)
            _logger.error("unexpected exception", exc_info=error)
        self._recorder.finished(request, answer.code, time.monotonic() - request.start, answer.reason, answer.message)
        await self._context.abort(
            answer.code,
            answer.message,
            ((REQUEST_ID_KEY, request.request_id), (STATUS_DETAILS_KEY, status_details(answer))),
        )

    def _expire(self, task: asyncio.Task[Any]) -> None:
        self._expired = True
        task.cancel()
