from __future__ import annotations

import pytest

from services.runtime.observability.trace_context import read_trace_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True), ("ff", True), ("02", False)])
def test_a_callers_trace_is_read(flags: str, sampled: bool) -> None:
    metadata: list[tuple[str, str | bytes]] = [
        ("x", b"\xff"),
        ("traceparent", f"00-{TRACE}-{SPAN}-{flags}"),
        ("tracestate", "vendor=1"),
    ]
    parent = read_trace_parent(metadata)
    assert parent is not None
    assert (parent.trace_id, parent.span_id, parent.sampled, parent.state) == (TRACE, SPAN, sampled, "vendor=1")
    assert parent.header() == f"00-{TRACE}-{SPAN}-0{int(sampled)}"


def test_a_later_version_of_the_format_is_read() -> None:
    assert read_trace_parent([("traceparent", f"01-{TRACE}-{SPAN}-01-more")]) is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "rubbish",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_a_malformed_header_starts_no_trace(header: str) -> None:
    assert read_trace_parent([("traceparent", header)]) is None


def test_without_a_header_there_is_no_parent() -> None:
    assert read_trace_parent([]) is None
