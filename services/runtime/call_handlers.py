"""Wraps the handlers of Marquee's own contracts once, when they are added to the server.

gRPC's interceptors would be asked again on every call; a table of wrapped handlers costs one look-up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc

from services.runtime.call import Call, Recorder
from services.runtime.errors import ServiceError
from services.runtime.settings import ServiceSettings

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_BUSY = "too many calls are in flight"


class CallHandlers(grpc.GenericRpcHandler):
    """The table of a server's methods. Servicers are added to it as they would be to a server.

    Args:
        settings: limits of the service.
        recorder_of: returns where the calls of a method are recorded.
    """

    def __init__(self, settings: ServiceSettings, recorder_of: Callable[[str], Recorder]) -> None:
        self._settings = settings
        self._recorder_of = recorder_of
        self._handlers: dict[str, Handler] = {}
        self._gate = _Gate(settings.maximum_calls)

    @property
    def calls_in_flight(self) -> int:
        """Number of calls that are being served."""
        return self._gate.calls

    @property
    def calls_arrived(self) -> int:
        """Number of calls that ever arrived."""
        return self._gate.arrived

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return the wrapped handler of a method, None for a method of somebody else."""
        return self._handlers.get(handler_call_details.method)

    def register(self, server: grpc.aio.Server) -> None:
        """Give the table to the server, once all servicers are in it."""
        services: dict[str, dict[str, Handler]] = {}
        for path, handler in self._handlers.items():
            service, _, method = path.removeprefix("/").rpartition("/")
            services.setdefault(service, {})[method] = handler
        for service, handlers in services.items():
            server.add_registered_method_handlers(service, handlers)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Generated code calls this beside `add_registered_method_handlers`; generic handlers made by hand come only
        this way.
        """
        for handler in handlers:
            name = handler.service_name() if isinstance(handler, grpc.ServiceRpcHandler) else ""
            methods: Mapping[str, Handler] = getattr(handler, "_method_handlers", {})
            for method, one in methods.items():
                path = method if method.startswith("/") else f"/{name}/{method}"
                self._handlers[path] = self._wrap(path, one)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Wrap and keep the handlers of one gRPC service."""
        for method, handler in method_handlers.items():
            path = f"/{service_name}/{method}"
            self._handlers[path] = self._wrap(path, handler)

    def _wrap(self, method: str, handler: Handler) -> Handler:
        # The deserializer is the message type's FromString; parsing happens in the wrapper so that a bad message gets
        # a clear error.
        message_type = handler.request_deserializer.__self__  # type: ignore[union-attr]
        recorder = self._recorder_of(method)
        make: dict[tuple[bool, bool], Callable[..., Handler]] = {
            (False, False): self._wrap_unary,
            (False, True): self._wrap_unary_stream,
            (True, False): self._wrap_stream_unary,
            (True, True): self._wrap_stream_stream,
        }
        wrapped: Handler = make[handler.request_streaming, handler.response_streaming](handler, message_type, recorder)
        return wrapped

    def _wrap_unary(self, handler: Any, message_type: Any, recorder: Recorder) -> Handler:
        answer, settings, gate = handler.unary_unary, self._settings, self._gate
        deadline = settings.default_deadline_seconds

        async def serve(content: bytes, context: Any) -> Any:
            call = Call(context, settings, recorder, deadline)
            gate.calls += 1
            gate.arrived += 1
            try:
                call.open()
                gate.check()
                request = call.parse(message_type, content)
                response = await answer(request, context)
            except BaseException as error:
                await call.fail(error)
                raise
            finally:
                gate.calls -= 1
            call.finish()
            return response

        return grpc.unary_unary_rpc_method_handler(
            serve, request_deserializer=None, response_serializer=handler.response_serializer
        )

    def _wrap_unary_stream(self, handler: Any, message_type: Any, recorder: Recorder) -> Handler:
        async def answer(call: Call, content: Any, context: Any) -> AsyncIterator[Any]:
            async for response in handler.unary_stream(call.parse(message_type, content), context):
                yield response

        return grpc.unary_stream_rpc_method_handler(
            self._streaming(answer, recorder),
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )

    def _wrap_stream_stream(self, handler: Any, message_type: Any, recorder: Recorder) -> Handler:
        async def answer(call: Call, contents: Any, context: Any) -> AsyncIterator[Any]:
            async for response in handler.stream_stream(call.parse_stream(message_type, contents), context):
                yield response

        return grpc.stream_stream_rpc_method_handler(
            self._streaming(answer, recorder),
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )

    def _wrap_stream_unary(self, handler: Any, message_type: Any, recorder: Recorder) -> Handler:
        async def answer(call: Call, contents: Any, context: Any) -> AsyncIterator[Any]:
            yield await handler.stream_unary(call.parse_stream(message_type, contents), context)

        serve_stream = self._streaming(answer, recorder)

        async def serve(contents: Any, context: Any) -> Any:
            # To its end, so that the call is recorded as finished.
            (response,) = [response async for response in serve_stream(contents, context)]
            return response

        return grpc.stream_unary_rpc_method_handler(
            serve, request_deserializer=None, response_serializer=handler.response_serializer
        )

    def _streaming(
        self, answer: Callable[[Call, Any, Any], AsyncIterator[Any]], recorder: Recorder
    ) -> Callable[[Any, Any], AsyncIterator[Any]]:
        settings, gate = self._settings, self._gate

        async def serve(incoming: Any, context: Any) -> AsyncIterator[Any]:
            call = Call(context, settings, recorder, settings.default_stream_deadline_seconds)
            gate.calls += 1
            gate.arrived += 1
            try:
                call.open()
                gate.check()
                async for response in answer(call, incoming, context):
                    yield response
            except BaseException as error:
                await call.fail(error)
                raise
            finally:
                gate.calls -= 1
            call.finish()

        return serve


class _Gate:
    """Bounds the calls in flight, whatever they wait for."""

    __slots__ = ("arrived", "calls", "maximum")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.calls = 0
        self.arrived = 0

    def check(self) -> None:
        if self.calls > self.maximum:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "TOO_MANY_CALLS",
                f"{_BUSY}: the limit is {self.maximum:,}; try again later or elsewhere",
                metadata={"limit": str(self.maximum)},
                retry_after_seconds=1.0,
                quota=("calls in flight", f"at most {self.maximum:,}"),
            )
