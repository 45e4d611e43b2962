"""The W3C trace context as it travels in a call's metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.runtime.observability.tracing import TRACEPARENT_KEY, TRACESTATE_KEY

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST_STATE = 512


@dataclass(frozen=True)
class TraceParent:
    """What a caller says about the trace that it began."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits: the caller's span."""
    sampled: bool
    """Whether the caller records the trace."""
    state: str = ""
    """What tracing systems on the way noted; passed on as it is."""

    def header(self) -> str:
        """Return it as the value of `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def read_trace_parent(metadata: Iterable[tuple[str, str | bytes]]) -> TraceParent | None:
    """Return the caller's trace; None when it sent none or a malformed one."""
    parent = state = ""
    for key, value in metadata:
        if key == TRACEPARENT_KEY:
            parent = str(value)
        elif key == TRACESTATE_KEY:
            state = str(value)
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    if match is None or (match[1] == "00" and match[5]):
        return None
    return TraceParent(match[2], match[3], bool(int(match[4], 16) & 1), state if len(state) <= _LONGEST_STATE else "")
