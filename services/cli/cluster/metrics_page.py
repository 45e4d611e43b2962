"""What a pod counts about itself, read from its metrics page."""

from __future__ import annotations

import http.client
import time
from collections import defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

OWN_FAULTS = frozenset(("UNKNOWN", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS"))
"""Codes of calls that fail through the service's own fault."""
_CALLS = "marquee_rpc_duration_seconds"
_LARGEST_PAGE_BYTES = 32 << 20


@dataclass(frozen=True)
class Page:
    """The figures of one process at one moment.

    Attributes:
        moment: when it was read, on the monotonic clock.
        age_seconds: age of the process; 0 when it does not say.
        calls: finished calls by code, of the mesh's own methods.
        buckets: finished calls that took at most so many seconds.
        queue_rows: rows that wait for an engine.
        in_flight: calls that are being served.
        memory_bytes: resident memory.
    """

    moment: float
    age_seconds: float = 0.0
    calls: dict[str, float] = field(default_factory=dict)
    buckets: dict[float, float] = field(default_factory=dict)
    queue_rows: float = 0.0
    in_flight: float = 0.0
    memory_bytes: float = 0.0


@dataclass(frozen=True)
class Rates:
    """What happened between two pages of a process, or since its start.

    Attributes:
        calls_per_second: finished calls.
        error_share: share of them that failed through the service's own fault, 0 to 1; None without calls.
        slow_seconds: 95 of 100 calls took no longer, as well as the histogram tells; None without calls.
    """

    calls_per_second: float
    error_share: float | None
    slow_seconds: float | None


def read_page(address: str, seconds: float) -> Page:
    """Fetch and read the metrics page at a `host:port`.

    Raises:
        OSError: nobody answered in time.
        ValueError: the answer is no metrics page.
    """
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=seconds)
    try:
        connection.request("GET", "/metrics", headers={"Connection": "close"})
        answer = connection.getresponse()
        content = answer.read(_LARGEST_PAGE_BYTES)
    except http.client.HTTPException as error:
        raise OSError(f"no metrics page at {address}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise ValueError(f"the metrics page answered {answer.status}")
    return parse_page(content.decode(errors="replace"))


def parse_page(text: str) -> Page:
    """Read a page in Prometheus' text format.

    Raises:
        ValueError: it is none.
    """
    calls: dict[str, float] = defaultdict(float)
    buckets: dict[float, float] = defaultdict(float)
    single: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("method", "").startswith("/grpc."):  # probes, reflection
                continue
            if sample.name == f"{_CALLS}_count":
                calls[sample.labels["code"]] += sample.value
            elif sample.name == f"{_CALLS}_bucket":
                buckets[float(sample.labels["le"])] += sample.value
            elif not sample.labels or sample.name == "marquee_queue_rows":
                single[sample.name] += sample.value
    start = single.get("process_start_time_seconds")
    return Page(
        moment=time.monotonic(),
        age_seconds=max(0.0, time.time() - start) if start else 0.0,
        calls=dict(calls),
        buckets=dict(buckets),
        queue_rows=single["marquee_queue_rows"],
        in_flight=single["marquee_rpcs_in_flight"],
        memory_bytes=single["process_resident_memory_bytes"],
    )


def rates(page: Page, before: Page | None = None) -> Rates:
    """Return what happened between two pages; without the earlier one, or after a restart, since the process began."""
    if before is None or sum(before.calls.values()) > sum(page.calls.values()):
        before, seconds = Page(0.0), page.age_seconds
    else:
        seconds = page.moment - before.moment
    calls = {code: count - before.calls.get(code, 0.0) for code, count in page.calls.items()}
    total = sum(calls.values())
    if total <= 0:
        return Rates(0.0, None, None)
    failed = sum(count for code, count in calls.items() if code in OWN_FAULTS)
    counts = {edge: count - before.buckets.get(edge, 0.0) for edge, count in page.buckets.items()}
    return Rates(total / seconds if seconds > 0 else 0.0, failed / total, _quantile(counts, 0.95))


def _quantile(counts: dict[float, float], share: float) -> float | None:
    """Return the value that a share of the calls does not exceed, linear within its bucket."""
    edges = sorted(counts)
    total = counts[edges[-1]] if edges else 0.0
    low, below = 0.0, 0.0
    for edge in edges:
        if total and counts[edge] >= share * total:
            if edge == float("inf"):
                return low
            return low + (edge - low) * (share * total - below) / max(counts[edge] - below, 1e-12)
        low, below = edge, counts[edge]
    return None
