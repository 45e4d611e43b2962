"""Spans as OpenTelemetry's SDK knows them, sent in batches to a collector. Imported only when tracing is on.

A call costs a few plain numbers while it runs. Its spans are made when it has ended, and the SDK's batch processor
sends them from a thread of its own. The SDK's live spans would cost several times as much, for locks and context that a
span with a single writer does not need.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from services.runtime.logs import get_logger
from services.runtime.observability.trace_context import TraceParent, read_trace_parent
from services.runtime.observability.tracing import Attribute, CallSpan, Tracing, enter_span

FLUSH_SECONDS = 2.0
_MOST_WAITING = 4096
_BATCH = 512
_EXPORT_SECONDS = 5
_EXPORT_EVERY_MILLISECONDS = 1000
_PAUSE_SECONDS = 10.0
_LOG_EVERY_SECONDS = 60.0
# What OpenTelemetry's conventions count as the server's own fault; the other codes are the caller's.
_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_logger = get_logger(__name__)


class OtlpTracing(Tracing):
    """Spans to one collector. See `Tracing.from_settings` for the arguments."""

    def __init__(self, endpoint: str, service: str, sample_ratio: float, version: str) -> None:
        # It logs every failed attempt; one line now and then is enough, and the exporter below writes it.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(
            endpoint=endpoint, insecure=not endpoint.startswith("https://"), timeout=_EXPORT_SECONDS
        )
        self._exporter = _Exporter(exporter, endpoint)
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=_MOST_WAITING,
            schedule_delay_millis=_EXPORT_EVERY_MILLISECONDS,
            max_export_batch_size=_BATCH,
        )
        self._ratio = sample_ratio
        self._accepted = 0
        self._dropped = 0
        self._stopped = False
        self.resource = Resource.create(
            {
                "service.name": f"marquee-{service}",
                "service.version": version,
                "service.instance.id": uuid.uuid4().hex,
            }
        )
        self.scope = InstrumentationScope("marquee", version)

    def begin(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> CallSpan:
        """Begin the span of a call; one that is not recorded only carries the decision on."""
        parent = read_trace_parent(metadata)
        sampled = random.random() < self._ratio if parent is None else parent.sampled  # noqa: S311  # no secret
        span: CallSpan = _RecordedSpan(self, method, parent) if sampled else _UnrecordedSpan(parent)
        enter_span(span)
        return span

    def outcomes(self) -> Mapping[str, int]:
        """Return how many spans were exported, failed to be, and were dropped since too many waited."""
        return {"exported": self._exporter.exported, "failed": self._exporter.failed, "dropped": self._dropped}

    def take(self, spans: Sequence[ReadableSpan]) -> None:
        """Queue ended spans for the collector; drops them when too many wait."""
        # Counted here, since the processor would write a log line for each span that it drops.
        if self._stopped or self._accepted - self._exporter.taken + len(spans) > _MOST_WAITING:
            self._dropped += len(spans)
            return
        self._accepted += len(spans)
        for span in spans:
            self._processor.on_end(span)

    async def stop(self) -> None:
        """Send what waits; after two seconds what is left is lost."""
        self._stopped = True
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def flush() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        # Not one of the loop's own threads: the process must not wait for it.
        threading.Thread(target=flush, name="trace-flush", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await done.wait()
        except TimeoutError:
            _logger.warning("not all spans were sent", seconds=FLUSH_SECONDS)
            self._exporter.shutdown()


class _RecordedSpan(CallSpan):
    __slots__ = (
        "_attributes",
        "_clock",
        "_ended",
        "_method",
        "_parent",
        "_stages",
        "_start",
        "_tracing",
        "span_id",
        "trace_id",
    )

    def __init__(self, tracing: OtlpTracing, method: str, parent: TraceParent | None) -> None:
        self._tracing = tracing
        self._method = method.removeprefix("/")
        self._parent = parent
        self.trace_id = parent.trace_id if parent is not None else f"{random.getrandbits(128) or 1:032x}"
        self.span_id = _new_span_id()
        self._start = time.time_ns()
        self._clock = self._start - time.monotonic_ns()
        self._attributes: dict[str, Attribute] = {"rpc.system.name": "grpc", "rpc.method": self._method}
        self._stages: list[tuple[str, int, int, dict[str, Attribute]]] = []
        self._ended = False

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id:016x}-01"

    @property
    def tracestate(self) -> str:
        return self._parent.state if self._parent is not None else ""

    def set(self, **attributes: Attribute) -> None:
        for name, value in attributes.items():
            self._attributes[f"marquee.{name}"] = value

    def stage(self, name: str, start: float, end: float, **attributes: Attribute) -> None:
        # Never outside its parent: the call's clock was read a moment before the span's.
        begin = max(self._start, self._clock + int(start * 1e9))
        named = {f"marquee.{key}": value for key, value in attributes.items()}
        self._stages.append((name, begin, max(begin, self._clock + int(end * 1e9)), named))

    def end(self, code: str) -> None:
        if self._ended:
            return
        self._ended = True
        self._attributes["rpc.response.status_code"] = code
        failed = code in _ERRORS
        if failed:
            self._attributes["error.type"] = code
        trace_id = int(self.trace_id, 16)
        state = TraceState.from_header([self.tracestate]) if self.tracestate else None
        context = SpanContext(trace_id, self.span_id, False, _SAMPLED, state)
        spans = [self._child(context, *stage) for stage in self._stages]
        spans.append(
            ReadableSpan(
                name=self._method,
                context=context,
                parent=None
                if self._parent is None
                else SpanContext(trace_id, int(self._parent.span_id, 16), True, _SAMPLED, state),
                resource=self._tracing.resource,
                attributes=self._attributes,
                kind=SpanKind.SERVER,
                status=_ERROR if failed else _UNSET,
                start_time=self._start,
                end_time=self._clock + time.monotonic_ns(),
                instrumentation_scope=self._tracing.scope,
            )
        )
        self._tracing.take(spans)

    def _child(
        self, parent: SpanContext, name: str, start: int, end: int, attributes: dict[str, Attribute]
    ) -> ReadableSpan:
        return ReadableSpan(
            name=name,
            context=SpanContext(parent.trace_id, _new_span_id(), False, _SAMPLED),
            parent=parent,
            resource=self._tracing.resource,
            attributes=attributes,
            start_time=start,
            end_time=end,
            instrumentation_scope=self._tracing.scope,
        )


class _UnrecordedSpan(CallSpan):
    """Hands on that the trace is not recorded, so that no service on the way records a part of it."""

    __slots__ = ("_parent",)

    def __init__(self, parent: TraceParent | None) -> None:
        self._parent = parent

    @property
    def traceparent(self) -> str:
        if self._parent is None:
            trace_id = f"{random.getrandbits(128) or 1:032x}"  # an id, no secret
            self._parent = TraceParent(trace_id, f"{_new_span_id():016x}", sampled=False)
        return self._parent.header()

    @property
    def tracestate(self) -> str:
        return self._parent.state if self._parent is not None else ""

    def set(self, **attributes: Attribute) -> None:
        pass

    def stage(self, name: str, start: float, end: float, **attributes: Attribute) -> None:
        pass

    def ran(self, model: str, version: str, rows: int, arrived: float, start: float, end: float) -> None:
        pass

    def end(self, code: str) -> None:
        pass


class _Exporter(SpanExporter):
    """Counts, and leaves a collector that does not answer alone for a while."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._resume = 0.0
        self._logged = float("-inf")
        self.taken = 0
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        if time.monotonic() >= self._resume:
            try:
                result = self._exporter.export(spans)
            except Exception as error:  # whatever it is, calls must not notice
                _logger.debug("span export raised", error=str(error))
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
            return result
        self.failed += len(spans)
        now = time.monotonic()
        if now >= self._resume:
            self._resume = now + _PAUSE_SECONDS
        if now - self._logged >= _LOG_EVERY_SECONDS:
            self._logged = now
            _logger.warning("the collector takes no spans; calls are not affected", endpoint=self._endpoint)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def _new_span_id() -> int:
    return random.getrandbits(64) or 1  # an id, no secret
