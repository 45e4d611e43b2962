"""How calls travel: request ids, deadlines, and failures as the client's own errors."""
# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels with the call, as in grpcio

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

import grpc
from grpc import aio

from marquee_client.channel import ChannelOptions, with_defaults
from marquee_client.error_mapping import REQUEST_ID_KEY, error_from
from marquee_client.options import new_request_id
from marquee_client.tls import Tls

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class Transport:
    """A channel for threads; see `MarqueeClient` for the arguments."""

    def __init__(
        self,
        target: str,
        timeout: float,
        request_id: str | None,
        tls: Tls | None = None,
        channel_options: ChannelOptions = (),
    ) -> None:
        self._timeout = timeout
        self._request_id = request_id
        options = with_defaults(channel_options)
        if tls is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, tls.credentials(), options=[*options, *tls.options()])
        self._open_stubs()

    def _open_stubs(self) -> None:
        """Make the stubs of the contracts that a subclass calls."""

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,
    ) -> ResponseT:
        request_id = self._request_id or new_request_id()
        seconds = self._timeout if timeout is None else timeout
        try:
            return method(request, timeout=seconds, metadata=((REQUEST_ID_KEY, request_id),))
        except grpc.RpcError as error:
            raise error_from(error, request_id) from error

    def _stream(
        self, method: grpc.UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float
    ) -> Iterator[ResponseT]:
        request_id = self._request_id or new_request_id()
        call = method(request, timeout=timeout, metadata=((REQUEST_ID_KEY, request_id),))
        try:
            yield from call
        except grpc.RpcError as error:
            raise error_from(error, request_id) from error
        finally:
            call.cancel()  # the caller may have stopped before the end


class AsyncTransport:
    """A channel for asyncio; see `AsyncMarqueeClient` for the arguments."""

    def __init__(
        self,
        target: str,
        timeout: float,
        request_id: str | None,
        tls: Tls | None = None,
        channel_options: ChannelOptions = (),
    ) -> None:
        self._timeout = timeout
        self._request_id = request_id
        options = with_defaults(channel_options)
        if tls is None:
            self._channel = aio.insecure_channel(target, options=options)
        else:
            self._channel = aio.secure_channel(target, tls.credentials(), options=[*options, *tls.options()])
        self._open_stubs()

    def _open_stubs(self) -> None:
        """Make the stubs of the contracts that a subclass calls."""

    async def _call(
        self,
        method: aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,
    ) -> ResponseT:
        request_id = self._request_id or new_request_id()
        seconds = self._timeout if timeout is None else timeout
        try:
            return await method(request, timeout=seconds, metadata=((REQUEST_ID_KEY, request_id),))
        except grpc.RpcError as error:
            raise error_from(error, request_id) from error

    async def _stream(
        self, method: aio.UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float
    ) -> AsyncIterator[ResponseT]:
        request_id = self._request_id or new_request_id()
        call = method(request, timeout=timeout, metadata=((REQUEST_ID_KEY, request_id),))
        try:
            async for response in call:
                yield response
        except grpc.RpcError as error:
            raise error_from(error, request_id) from error
        finally:
            call.cancel()  # the caller may have stopped before the end
