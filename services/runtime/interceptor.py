"""The one interceptor around every call: request id, size, deadline, error mapping and the log line of the call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import structlog

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
from services.runtime.request_context import REQUEST_ID_KEY, RequestContext, enter_request, request_id_from
from services.runtime.settings import ServiceSettings

_OWN_PACKAGES = ("/marquee.", "/inference.")
# Asked every second by the orchestrator; only their failures are worth a line.
_ROUTINE = "/marquee.common.v1.ModelRepositoryService/List"
_logger = get_logger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of Marquee's own contracts; health and reflection pass through as they are."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the wrapped handler of a method; it is made once."""
        method = handler_call_details.method
        if not method.startswith(_OWN_PACKAGES):
            return await continuation(handler_call_details)
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or handler.request_streaming:
                return handler
            wrapped = self._wrap(method, handler)
            self._wrapped[method] = wrapped
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        # The deserializer is the message type's FromString; parsing happens in the wrapper so that a bad message gets
        # a clear error.
        message_type = handler.request_deserializer.__self__  # type: ignore[union-attr]

        if handler.response_streaming:
            unary_stream: Any = handler.unary_stream

            async def serve_stream(content: bytes, context: Any) -> AsyncIterator[Any]:
                call = _Call(method, context, self._settings)
                try:
                    request = call.parse(message_type, content)
                    async with call.timeout():
                        async for response in unary_stream(request, context):
                            yield response
                except BaseException as error:
                    await call.fail(error)
                    raise
                call.finish()

            return grpc.unary_stream_rpc_method_handler(
                serve_stream, request_deserializer=None, response_serializer=handler.response_serializer
            )

        async def serve_unary(content: bytes, context: Any) -> Any:
            call = _Call(method, context, self._settings)
            try:
                request = call.parse(message_type, content)
                async with call.timeout():
                    response = await handler.unary_unary(request, context)  # type: ignore[misc]
            except BaseException as error:
                await call.fail(error)
                raise
            call.finish()
            return response

        return grpc.unary_unary_rpc_method_handler(
            serve_unary, request_deserializer=None, response_serializer=handler.response_serializer
        )


class _Call:
    """One call from arrival to its log line."""

    def __init__(self, method: str, context: Any, settings: ServiceSettings) -> None:
        self._method = method
        self._context = context
        self._settings = settings
        remaining = context.time_remaining()
        start = time.monotonic()
        self._request = RequestContext(
            request_id=request_id_from(context.invocation_metadata()),
            start=start,
            deadline=start + (settings.default_deadline_seconds if remaining is None else remaining),
        )
        self._timeout: asyncio.Timeout | None = None
        enter_request(self._request)
        structlog.contextvars.bind_contextvars(request_id=self._request.request_id)
        context.set_trailing_metadata(((REQUEST_ID_KEY, self._request.request_id),))

    def parse(self, message_type: Any, content: bytes) -> Any:
        limit = self._settings.maximum_message_bytes
        if len(content) > limit:
            description = f"has {len(content):,} bytes; the limit is {limit:,}"
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "MESSAGE_TOO_LARGE",
                f"request {description}; send smaller batches",
                metadata={"limit_bytes": str(limit)},
                violations=[FieldViolation("request", description)],
            )
        self._request.check_deadline()
        return parse_request(message_type, content)

    def timeout(self) -> asyncio.Timeout:
        self._timeout = asyncio.timeout(self._request.remaining_seconds())
        return self._timeout

    def finish(self) -> None:
        log = _logger.debug if self._method.startswith(_ROUTINE) else _logger.info
        log("call", method=self._method, code="OK", milliseconds=self._milliseconds())

    async def fail(self, error: BaseException) -> None:
        """Log the error and end the call with its status; returns for exceptions that must go on up (cancellation)."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit | grpc.aio.AbortError):
            _logger.info("call", method=self._method, code="CANCELLED", milliseconds=self._milliseconds())
            return
        # Another timeout, of work inside the handler, is not the caller's deadline.
        if isinstance(error, TimeoutError) and self._timeout is not None and self._timeout.expired():
            answer: ServiceError = DeadlinePassed()
        elif isinstance(error, ServiceError):
            answer = error
        else:
            answer = internal_error(self._request.request_id)
            _logger.error("unexpected exception", method=self._method, exc_info=error)
        _logger.warning(
            "call",
            method=self._method,
            code=answer.code.name,
            reason=answer.reason,
            message=answer.message,
            milliseconds=self._milliseconds(),
        )
        await self._context.abort(
            answer.code,
            answer.message,
            ((REQUEST_ID_KEY, self._request.request_id), (STATUS_DETAILS_KEY, status_details(answer))),
        )

    def _milliseconds(self) -> float:
        return round((time.monotonic() - self._request.start) * 1000, 3)
