"""Traces of calls across the mesh, in the W3C format. Off without an endpoint: then nothing of OpenTelemetry is
imported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TypeAlias

TRACEPARENT_KEY = "traceparent"
TRACESTATE_KEY = "tracestate"
Attribute: TypeAlias = str | bool | int | float


class CallSpan(ABC):
    """The span of one call. Times are seconds on the monotonic clock."""

    @property
    @abstractmethod
    def traceparent(self) -> str:
        """The header that makes a further call a child of this one."""

    @property
    def tracestate(self) -> str:
        """The header that the caller sent beside it; empty when it sent none."""
        return ""

    @abstractmethod
    def set(self, **attributes: Attribute) -> None:
        """Set attributes; `rows=2` becomes `marquee.rows`."""

    @abstractmethod
    def stage(self, name: str, start: float, end: float, **attributes: Attribute) -> None:
        """Add a part of the call that is over, as a child span."""

    def ran(self, model: str, version: str, rows: int, arrived: float, start: float, end: float) -> None:
        """Note what answered: the request waited from `arrived` to `start` and was computed until `end`.

        Args:
            model: name of the model.
            version: its version.
            rows: rows of the largest run that the request was part of.
            arrived: when the call arrived.
            start: when its first run began.
            end: when its last run ended.
        """
        self.set(
            model=model,
            version=version,
            batch_rows=rows,
            queue_microseconds=max(0, int((start - arrived) * 1e6)),
            compute_microseconds=max(0, int((end - start) * 1e6)),
        )
        self.stage("queue", arrived, start)
        self.stage("compute", start, end, model=model, version=version, batch_rows=rows)

    @abstractmethod
    def end(self, code: str) -> None:
        """End the span with the name of the call's gRPC status code."""


class Tracing(ABC):
    """Makes the spans of one process and sends them to a collector."""

    @staticmethod
    def from_settings(
        endpoint: str | None, service: str, *, sample_ratio: float = 1.0, version: str = ""
    ) -> Tracing | None:
        """Return the tracing of a service, None without an endpoint.

        Args:
            endpoint: collector that takes OTLP over gRPC, for example "http://localhost:4317"; https encrypts.
            service: short name of the service, for example "text".
            sample_ratio: share of the traces that begin here which are recorded; a caller's own decision comes first.
            version: version of the software.
        """
        if not endpoint:
            return None
        from services.runtime.observability.otlp import OtlpTracing  # noqa: PLC0415  # only who traces pays for it

        return OtlpTracing(endpoint, service, sample_ratio, version)

    @abstractmethod
    def begin(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> CallSpan:
        """Begin the span of a call and make it the current one of this task.

        Args:
            method: full path, for example "/marquee.text.v1.TextService/EmbedText".
            metadata: the call's; a trace that its caller began goes on.
        """

    @abstractmethod
    def outcomes(self) -> Mapping[str, int]:
        """Return how many spans were exported, failed to be, and were dropped."""

    @abstractmethod
    async def stop(self) -> None:
        """Send what waits; after two seconds what is left is lost."""


_current: ContextVar[CallSpan | None] = ContextVar("marquee_span", default=None)


def enter_span(span: CallSpan) -> None:
    """Make a span the current one of the running task and the tasks it starts."""
    _current.set(span)


def current_span() -> CallSpan | None:
    """Return the span of the call being served; None outside a call or when tracing is off."""
    return _current.get()


def current_traceparent() -> str | None:
    """Return the header for outgoing calls; None outside a call or when tracing is off."""
    span = _current.get()
    return None if span is None else span.traceparent


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """Return the metadata that makes outgoing calls part of the current trace; empty when there is none."""
    span = _current.get()
    if span is None:
        return ()
    parent = (TRACEPARENT_KEY, span.traceparent)
    return (parent, (TRACESTATE_KEY, span.tracestate)) if span.tracestate else (parent,)
