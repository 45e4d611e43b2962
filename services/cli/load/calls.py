"""Sends one call of a step and says how it ended."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from marquee_client.status_details import decode_status_details
from services.cli.load.contracts import Contracts
from services.cli.load.plan import OK, UNEXPECTED, UNIQUE_MARK, UNIQUE_WIDTH, Step

_DETAILS = "grpc-status-details-bin"
_MOST_KNOWN_DETAILS = 1000
CHANNEL_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # else channels to one address would share a connection
    # No retry policy either, so a call is tried once: gRPC repeats by itself only what no server has seen, as when a
    # connection ends with age in the very moment of the call.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
]


class StepCalls:
    """Sends the calls of one step.

    Args:
        step: what to send.
        channels: connections to its service, used in turn.
        chance: chooses among the step's requests.
    """

    def __init__(self, step: Step, channels: Sequence[grpc.aio.Channel], chance: Random) -> None:
        self.step = step
        kind = "unary_stream" if step.streaming else "unary_unary"
        # Without serialisers the bytes go out as they are, and answers stay bytes.
        self._stubs = itertools.cycle([getattr(channel, kind)(step.method) for channel in channels])
        self._chance = chance
        self._metadata = step.metadata or None
        self._prefix = os.urandom(4).hex()
        self._count = 0
        self._known_reasons: dict[bytes, str] = {}
        self._check = _checker(step) if step.expect else None

    def body(self) -> bytes:
        """Return a request."""
        bodies = self.step.bodies
        body = bodies[0] if len(bodies) == 1 else bodies[int(self._chance.random() * len(bodies))]
        if self.step.unique:
            self._count += 1
            name = f"{self._prefix}{self._count:0{UNIQUE_WIDTH - 8}x}"
            body = body.replace(UNIQUE_MARK, name.encode())
        return body

    async def send(self, body: bytes) -> tuple[str, str]:
        """Send a request, wait for the end of the call, and return its code and reason; no reason when it is OK."""
        stub: Any = next(self._stubs)
        try:
            call = stub(body, timeout=self.step.deadline_seconds, metadata=self._metadata)
            if self.step.streaming:
                answer = b""
                async for part in call:
                    answer = part
            else:
                answer = await call
        except grpc.aio.AioRpcError as error:
            return error.code().name, self._reason(error)
        wrong = self._check(answer) if self._check is not None else ""
        return (UNEXPECTED, wrong) if wrong else (OK, "")

    def _reason(self, error: grpc.aio.AioRpcError) -> str:
        for key, content in error.trailing_metadata() or ():
            if key == _DETAILS and isinstance(content, bytes):
                reason = self._known_reasons.get(content)
                if reason is None:
                    reason = decode_status_details(content).reason
                    if len(self._known_reasons) < _MOST_KNOWN_DETAILS:
                        self._known_reasons[content] = reason
                return reason
        return ""


def _checker(step: Step) -> Callable[[bytes], str]:
    """Return a function that says what is wrong with an answer; nothing when it is as expected."""
    message_class = Contracts.load().message_class(step.response_type)

    def check(content: bytes) -> str:
        try:
            answer = message_class.FromString(content)
        except DecodeError:
            return "not a " + step.response_type
        for path, wanted in step.expect:
            value: Any = answer
            for name in path.split("."):
                value = getattr(value, name)
            if value != wanted:
                return f"{path} is not {str(wanted).lower() if isinstance(wanted, bool) else wanted}"
        return ""

    return check
