"""One running service as the suite asks it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from tests.contract.cases.kinds import Answer, BadCall, GoodCall, Request
from tests.contract.families import Family
from tests.support.clients import Outcome, health, outcome_of

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Conversation:
    """The reply to a stream of requests: each of its messages, and what the last says of the model.

    Attributes:
        responses: the messages, in order.
    """

    responses: list[Any]

    @property
    def report(self) -> Any:
        """The first report of the summary."""
        return self.responses[-1].summary.reports[0]


@dataclass(frozen=True)
class Service:
    """A family's service and a channel to it."""

    family: Family
    channel: grpc.aio.Channel
    _known: dict[int, Any] = field(default_factory=dict)

    async def ask(self, method: str, request: Request | bytes, seconds: float = PATIENCE_SECONDS) -> Outcome:
        """Call a method ("/package.Service/Method") with a message, or with bytes in its place. The messages of a
        stream count as one reply: put together, texts one after the other; where the caller streams too, a
        `Conversation`.
        """
        service, _, name = method.strip("/").rpartition("/")
        found = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(name)
        reply_type = message_factory.GetMessageClass(found.output_type)
        coding: dict[str, Any] = {"request_serializer": _serialised, "response_deserializer": reply_type.FromString}
        if found.client_streaming:
            both: grpc.aio.StreamStreamMultiCallable[Any, Any] = self.channel.stream_stream(method, **coding)
            sent = [request] if isinstance(request, bytes | Message) else request
            return await outcome_of(_conversation(both(iter(sent), timeout=seconds)))
        if found.server_streaming:
            stream: grpc.aio.UnaryStreamMultiCallable[Any, Any] = self.channel.unary_stream(method, **coding)
            return await outcome_of(_whole(stream(request, timeout=seconds), reply_type))
        call: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = self.channel.unary_unary(method, **coding)
        return await outcome_of(call(request, timeout=seconds))

    async def reply(self, method: str, request: Request) -> Any:
        """Return the reply to a request that must be answered."""
        answered = await self.ask(method, request)
        assert answered.code is grpc.StatusCode.OK, f"{answered.code.name}: {answered.message}"
        return answered.reply

    async def known_reply(self, method: str, request: Request) -> Any:
        """Return the reply to a request, asked once in the whole run: real models take their time."""
        # The cases live as long as the run, so their requests are told apart by identity.
        if id(request) not in self._known:
            self._known[id(request)] = await self.reply(method, request)
        return self._known[id(request)]

    async def assert_alive(self) -> None:
        """Check that the service is healthy and answers."""
        assert await health(self.channel) == "SERVING"
        assert await health(self.channel, self.family.contract) == "SERVING"
        first = self.family.cases.good[0]
        await self.reply(first.method, first.request)


def report_of(reply: Any) -> Any:
    """Return the ModelReport of any reply."""
    return (
        reply.candidates.report
        if hasattr(reply, "candidates") and hasattr(reply.candidates, "report")
        else reply.report
    )


def without_times(reply: Any) -> bytes:
    """Return the reply's bytes without the times, which differ from call to call."""
    if isinstance(reply, Conversation):
        return b"".join(_without_video_times(response) for response in reply.responses)
    copy = type(reply)()
    copy.CopyFrom(reply)
    report = report_of(copy)
    reports = [report, copy.expression_report] if hasattr(copy, "expression_report") else [report]
    for one in reports:
        one.ClearField("queue_microseconds")
        one.ClearField("compute_microseconds")
    if hasattr(copy, "usage"):
        copy.usage.ClearField("first_token_microseconds")
    content: bytes = copy.SerializeToString(deterministic=True)
    return content


def assert_refused(answered: Outcome, case: BadCall) -> None:
    """Check code, reason and the named field of a refusal."""
    if case.code is grpc.StatusCode.DEADLINE_EXCEEDED and answered.reason == "CANNOT_FINISH_IN_TIME":
        return  # behind other calls, a service that sees the deadline coming says so at once
    assert answered.code is case.code, f"{answered.code.name}: {answered.message}"
    assert answered.reply is None
    if case.field:
        assert case.field in answered.violations
        assert len(answered.violations[case.field]) > 5, "the limit or the mistake is told"
        assert answered.metadata.get("field", case.field) == case.field
    if case.reason:
        assert answered.reason == case.reason
    if case.field or case.reason:
        assert answered.domain == "marquee.dev"
        assert answered.message
        assert answered.request_id


def assert_same_answers(together: Sequence[Answer], alone: Sequence[Answer]) -> None:
    """Check that each input got the same answer in company as alone."""
    assert len(together) == len(alone)
    for place, (one, other) in enumerate(zip(together, alone, strict=True)):
        if one.vector is not None and other.vector is not None:
            cosine = float(
                one.vector @ other.vector / (numpy.linalg.norm(one.vector) * numpy.linalg.norm(other.vector))
            )
            assert cosine >= 0.9995, f"input {place}: cosine {cosine}"
        assert list(one.labels) == list(other.labels), f"input {place}"
        assert list(one.scores) == _about(other.scores), f"input {place}"


def ids(cases: Sequence[tuple[Family, Any]]) -> list[str]:
    """Return readable test names."""
    return [f"{family.name}-{case.name}" for family, case in cases]


def every_good_call(families: Sequence[Family]) -> list[tuple[Family, GoodCall]]:
    """Return the good calls of all families."""
    return [(family, case) for family in families for case in family.cases.good]


async def _whole(stream: AsyncIterable[Any], reply_type: Any) -> Any:
    """Return the messages of a stream as one."""
    whole, texts = reply_type(), dict[str, str]()
    async for message in stream:
        whole.MergeFrom(message)
        for one in reply_type.DESCRIPTOR.fields:
            if one.type == one.TYPE_STRING and not one.is_repeated:
                texts[one.name] = texts.get(one.name, "") + getattr(message, one.name)
    for name, text in texts.items():
        setattr(whole, name, text)
    return whole


async def _conversation(stream: AsyncIterable[Any]) -> Conversation:
    return Conversation([message async for message in stream])


def _without_video_times(response: Any) -> bytes:
    copy = type(response)()
    copy.CopyFrom(response)
    for report in copy.summary.reports if copy.HasField("summary") else ():
        report.ClearField("queue_microseconds")
        report.ClearField("compute_microseconds")
    content: bytes = copy.SerializeToString(deterministic=True)
    return content


def _about(scores: Sequence[float]) -> Any:
    return pytest.approx(list(scores), abs=2e-3, rel=1e-3)


def _serialised(request: Message | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()
