"""Counts what the orchestrator's answers say of themselves: whether something was missing, and which step it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import grpc

from marquee.common.v1.report_pb2 import STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK, STEP_OUTCOME_SKIPPED, StepReport
from services.runtime.observability.accumulators import RUN_SECONDS, Histogram
from services.runtime.observability.metrics import OTHER, Metrics

_MOST_STEPS = 200
_LOST = frozenset({STEP_OUTCOME_FAILED, STEP_OUTCOME_FALLBACK})


class AnswerMetrics:
    """What became of composed answers and their steps.

    Args:
        metrics: where it is reported.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._answers: dict[tuple[str, str], int] = {}
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self._fallbacks: dict[tuple[str, str], int] = {}
        metrics.watch("marquee_answers_total", lambda: iter(list(self._answers.items())))
        metrics.watch("marquee_step_duration_seconds", lambda: iter(list(self._seconds.items())))
        metrics.watch("marquee_step_fallbacks_total", lambda: iter(list(self._fallbacks.items())))

    def count(self, method: str, reply: Any) -> None:
        """Count a reply of a method; one that is not composed of steps is none of its business."""
        described = _described(reply)
        if described is None:
            return
        key = (method, "degraded" if described.degraded else "whole")
        self._answers[key] = self._answers.get(key, 0) + 1
        if "steps" in described.DESCRIPTOR.fields_by_name:
            for step in described.steps:
                self._step(step)

    def _step(self, report: StepReport) -> None:
        if report.outcome == STEP_OUTCOME_SKIPPED:
            return
        key = (report.step, report.service)
        histogram = self._seconds.get(key)
        if histogram is None:
            if len(self._seconds) >= _MOST_STEPS:
                key = (OTHER, OTHER)
            histogram = self._seconds.setdefault(key, Histogram(RUN_SECONDS))
        histogram.observe(report.milliseconds / 1000)
        if report.outcome in _LOST:
            self._fallbacks[key] = self._fallbacks.get(key, 0) + 1


def counting_attachment(
    servicers: Sequence[tuple[Callable[[Any, grpc.aio.Server], None], object]], answers: AnswerMetrics
) -> Callable[[grpc.aio.Server], None]:
    """Return what adds the servicers, each with the function that was generated for it, to a server, so that `answers`
    counts every reply when it leaves.
    """

    def attach(server: grpc.aio.Server) -> None:
        counting = cast("grpc.aio.Server", _CountingServer(server, answers))
        for add, servicer in servicers:
            add(servicer, counting)

    return attach


class _CountingServer:
    """Stands between the servicers and their server."""

    def __init__(self, server: grpc.aio.Server, answers: AnswerMetrics) -> None:
        self._server = server
        self._answers = answers

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Pass nothing on: generated code adds the same handlers once more, by their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Pass the handlers of one gRPC service on, with serializers that count."""
        counting = {method: self._counting(f"{service}/{method}", handler) for method, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, counting)

    def _counting(self, method: str, handler: Any) -> Any:
        serialize, count = handler.response_serializer, self._answers.count

        def serialize_and_count(reply: Any) -> bytes:
            count(method, reply)
            content: bytes = serialize(reply)
            return content

        return handler._replace(response_serializer=serialize_and_count)


def _described(reply: Any) -> Any:
    """Return what has `degraded`: the reply, or the summary that ends a stream; None when neither has."""
    fields = reply.DESCRIPTOR.fields_by_name
    if "degraded" in fields:
        return reply
    if "summary" in fields and reply.HasField("summary"):
        return _described(reply.summary)
    return None
