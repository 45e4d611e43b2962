from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.runtime.observability.tracing import (
    CallSpan,
    Tracing,
    current_span,
    current_traceparent,
    outgoing_metadata,
)

METHOD = "/marquee.text.v1.TextService/EmbedText"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAME = ("marquee-text", METHOD[1:])


def traced(endpoint: str, ratio: float = 1.0) -> Tracing:
    tracing = Tracing.from_settings(endpoint, "text", sample_ratio=ratio, version="1.2.3")
    assert tracing is not None
    return tracing


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys, services.runtime.observability.tracing as tracing, services.runtime.server\n"
        "assert tracing.Tracing.from_settings(None, 'text') is None\n"
        "assert tracing.Tracing.from_settings('', 'text') is None\n"
        "assert tracing.current_traceparent() is None and tracing.outgoing_metadata() == ()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    path = [entry for entry in sys.path if entry]
    assert (
        subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"], check=False).returncode
        == 0
    )


async def test_a_call_is_a_span_with_its_stages(collector: Any, attributes_of: Callable[[Any], Any]) -> None:
    tracing = traced(collector.endpoint)
    before = time.time_ns()
    span = tracing.begin(METHOD, ())
    arrived = time.monotonic()
    span.ran("minilm", "2", 8, arrived, arrived + 0.010, arrived + 0.030)
    span.set(cached=False)
    await asyncio.sleep(0.04)
    span.end("OK")
    span.end("OK")  # a second end changes nothing
    await tracing.stop()
    (call,) = collector.spans[NAME]
    (queue,), (compute,) = collector.spans[NAME[0], "queue"], collector.spans[NAME[0], "compute"]
    assert call.kind == 2  # server
    assert call.status.code == 0
    assert attributes_of(call) == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD[1:],
        "rpc.response.status_code": "OK",
        "marquee.model": "minilm",
        "marquee.version": "2",
        "marquee.batch_rows": 8,
        "marquee.queue_microseconds": pytest.approx(10_000, abs=1),
        "marquee.compute_microseconds": pytest.approx(20_000, abs=1),
        "marquee.cached": False,
    }
    for child in (queue, compute):
        assert child.trace_id == call.trace_id
        assert child.parent_span_id == call.span_id
        assert call.start_time_unix_nano <= child.start_time_unix_nano
        assert child.end_time_unix_nano <= call.end_time_unix_nano
    assert queue.end_time_unix_nano == pytest.approx(compute.start_time_unix_nano, abs=1_000)
    assert compute.end_time_unix_nano - compute.start_time_unix_nano == pytest.approx(20e6, abs=10_000)
    assert before <= call.start_time_unix_nano
    assert tracing.outcomes() == {"exported": 3, "failed": 0, "dropped": 0}


@pytest.mark.parametrize(("code", "status"), [("OK", 0), ("NOT_FOUND", 0), ("INTERNAL", 2), ("UNAVAILABLE", 2)])
async def test_a_span_is_an_error_when_the_service_is_at_fault(
    collector: Any, attributes_of: Callable[[Any], Any], code: str, status: int
) -> None:
    tracing = traced(collector.endpoint)
    tracing.begin(METHOD, ()).end(code)
    await tracing.stop()
    (call,) = collector.spans[NAME]
    assert call.status.code == status
    assert attributes_of(call)["rpc.response.status_code"] == code
    assert ("error.type" in attributes_of(call)) == bool(status)


async def test_a_callers_trace_goes_on_and_is_handed_on(collector: Any) -> None:
    tracing = traced(collector.endpoint, ratio=0.0)  # the caller decided
    span = tracing.begin(METHOD, [("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "vendor=1")])
    assert current_span() is span
    header = current_traceparent()
    assert header == span.traceparent
    assert outgoing_metadata() == (("traceparent", header), ("tracestate", "vendor=1"))
    span.end("OK")
    await tracing.stop()
    (call,) = collector.spans[NAME]
    assert call.trace_id.hex() == TRACE
    assert call.parent_span_id.hex() == SPAN
    assert call.trace_state == "vendor=1"
    assert header == f"00-{TRACE}-{call.span_id.hex()}-01"


async def test_a_trace_that_nobody_records_stays_unrecorded(collector: Any) -> None:
    tracing = traced(collector.endpoint)
    span = tracing.begin(METHOD, [("traceparent", f"00-{TRACE}-{SPAN}-00")])
    use(span)
    assert current_traceparent() == f"00-{TRACE}-{SPAN}-00"
    await tracing.stop()
    assert not collector.spans


async def test_the_ratio_decides_for_traces_that_begin_here(collector: Any) -> None:
    tracing = traced(collector.endpoint, ratio=0.0)
    span = tracing.begin(METHOD, ())
    use(span)
    header = current_traceparent()
    assert header is not None
    assert header.endswith("-00")
    assert header == current_traceparent()  # one id for all outgoing calls
    await tracing.stop()
    half = traced(collector.endpoint, ratio=0.5)
    recorded = sum(half.begin(METHOD, ()).traceparent.endswith("-01") for _ in range(2_000))
    assert 800 < recorded < 1_200
    await half.stop()
    assert not collector.spans


async def test_a_dead_collector_costs_one_line_and_no_time() -> None:
    tracing = traced("http://127.0.0.1:1")
    with capture_logs() as lines:
        start = time.perf_counter()
        for _ in range(6_000):
            use(tracing.begin(METHOD, ()))
        each = (time.perf_counter() - start) / 6_000
        start = time.perf_counter()
        await tracing.stop()
        assert time.perf_counter() - start < 3
    assert each < 500e-6
    outcomes = tracing.outcomes()
    assert outcomes["exported"] == 0
    assert outcomes["failed"] + outcomes["dropped"] > 18_000 - 5_000  # the rest is being given up
    assert sum(line["log_level"] in ("warning", "error") for line in lines) <= 2


async def test_a_slow_collector_does_not_hold_up_the_end(collector: Any) -> None:
    collector.delay = 10.0
    tracing = traced(collector.endpoint)
    use(tracing.begin(METHOD, ()))
    start = time.perf_counter()
    await tracing.stop()
    assert time.perf_counter() - start < 3
    use(tracing.begin(METHOD, ()))  # a call that outlives the drain
    assert tracing.outcomes()["dropped"] == 3


def use(span: CallSpan) -> None:
    now = time.monotonic()
    span.ran("minilm", "2", 1, now, now, now)
    span.end("OK")
