"""Turns the counts of a process into metric families, at a scrape."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import TYPE_CHECKING, TypeAlias

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from services.runtime.logs import get_logger
from services.runtime.observability.accumulators import Histogram
from services.runtime.observability.metric_catalogue import CATALOGUE, Family

if TYPE_CHECKING:
    from services.runtime.observability.metrics import Metrics

_logger = get_logger(__name__)
_STATES = ("UNLOADED", "LOADING", "READY", "UNLOADING", "FAILED")
Values: TypeAlias = Iterable[tuple[tuple[str, ...], "float | Histogram"]]
"""Label values in the family's order, and the value."""


def collect_families(metrics: Metrics) -> Iterator[Metric]:
    """Return every family that has something to report.

    A callback that raises costs its own families only: a scrape must not fail when one part of the process is sick.
    """
    for family in CATALOGUE:
        read = metrics.own.get(family.name) or _bound(_READERS.get(family.name), metrics)
        if read is None:  # another service's, or of the registry's own collectors
            continue
        metric = Metric(family.name.removesuffix("_total"), family.help, family.kind.value)
        try:
            for labels, value in read():
                _add(metric, family, dict(zip(family.labels, labels, strict=True)), value)
        except Exception:
            _logger.exception("metric cannot be read", metric=family.name)
            continue
        if metric.samples:
            yield metric


def _bound(read: Callable[[Metrics], Values] | None, metrics: Metrics) -> Callable[[], Values] | None:
    return None if read is None else partial(read, metrics)


def _add(metric: Metric, family: Family, labels: dict[str, str], value: float | Histogram) -> None:
    add = metric.samples.append
    if not isinstance(value, Histogram):
        add(Sample(family.name, labels, value))
        return
    counts, total = value.cumulative(), value.total
    for bound, count in zip((*_names_of_bounds(value.bounds), "+Inf"), counts, strict=True):
        add(Sample(f"{family.name}_bucket", {**labels, "le": bound}, count))
    add(Sample(f"{family.name}_count", labels, counts[-1]))
    add(Sample(f"{family.name}_sum", labels, total))


@cache
def _names_of_bounds(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(str(float(bound)) for bound in bounds)


def _of_methods(metrics: Metrics) -> Values:
    for method in list(metrics.methods.values()):
        for code, histogram in list(method.by_code.items()):
            yield (method.method.removeprefix("/"), code), histogram


def _attribute(name: str) -> Callable[[Metrics], Values]:
    def read(metrics: Metrics) -> Values:
        for model in list(metrics.models.values()):
            yield (model.name, model.version), getattr(model, name)

    return read


def _counters(name: str) -> Callable[[Metrics], Values]:
    def read(metrics: Metrics) -> Values:
        for model in list(metrics.models.values()):
            for label, count in getattr(model, name).items().items():
                yield (model.name, model.version, label), count

    return read


def _cache_lookups(metrics: Metrics) -> Values:
    for model in list(metrics.models.values()):
        if model.hits or model.misses:  # most models are not cached
            yield (model.name, model.version, "hit"), model.hits
            yield (model.name, model.version, "miss"), model.misses


def _queue(place: int) -> Callable[[Metrics], Values]:
    def read(metrics: Metrics) -> Values:
        for labels, waiting in (metrics.queue() if metrics.queue else {}).items():
            yield labels, waiting[place]

    return read


def _cache(place: int) -> Callable[[Metrics], Values]:
    def read(metrics: Metrics) -> Values:
        if metrics.cache is not None:
            yield (), metrics.cache()[place]

    return read


def _engines(metrics: Metrics) -> Values:
    if metrics.runs is not None:
        yield (), sum(1 for _ in metrics.runs())
    elif metrics.engines is not None:
        yield (), metrics.engines()[1]


def _engines_busy(metrics: Metrics) -> Values:
    if metrics.runs is not None:
        yield (), sum(1 for begin in metrics.runs() if begin is not None)
    elif metrics.engines is not None:
        yield (), metrics.engines()[0]


def _longest_run(metrics: Metrics) -> Values:
    if metrics.runs is not None:
        now = time.monotonic()
        yield (), max((now - begin for begin in metrics.runs() if begin is not None), default=0.0)


def _single(callback: str) -> Callable[[Metrics], Values]:
    def read(metrics: Metrics) -> Values:
        function: Callable[[], float] | None = getattr(metrics, callback)
        if function is not None:
            yield (), int(function())

    return read


def _model_states(metrics: Metrics) -> Values:
    for row in metrics.index() if metrics.index else ():
        current = str(getattr(row.state, "name", row.state)).upper()
        for state in _STATES:
            yield (row.name, row.version, state), int(state == current)


def _model_sizes(metrics: Metrics) -> Values:
    for row in metrics.index() if metrics.index else ():
        yield (row.name, row.version), row.size_bytes


def _model_load_seconds(metrics: Metrics) -> Values:
    for row in metrics.index() if metrics.index else ():
        seconds = getattr(row.model, "load_seconds", None)
        if seconds is not None:
            yield (row.name, row.version), seconds


def _spans(metrics: Metrics) -> Values:
    for outcome, count in (metrics.spans() if metrics.spans else {}).items():
        yield (outcome,), count


def _threads(_: Metrics) -> Values:
    yield (), threading.active_count()


def _build(metrics: Metrics) -> Values:
    yield (metrics.service, metrics.version, platform.python_version(), *_versions()), 1


@cache
def _versions() -> tuple[str, str, str]:
    return _version("grpcio"), _version("onnxruntime") or _version("onnxruntime-gpu"), _version("protobuf")


def _version(package: str) -> str:
    try:
        return package_version(package)
    except PackageNotFoundError:
        return ""


_READERS: Mapping[str, Callable[[Metrics], Values]] = {
    "marquee_rpc_duration_seconds": _of_methods,
    "marquee_rpcs_in_flight": _single("in_flight"),
    "marquee_serving": _single("serving"),
    "marquee_model_queue_duration_seconds": _attribute("queue_seconds"),
    "marquee_model_run_duration_seconds": _attribute("run_seconds"),
    "marquee_model_run_failures_total": _attribute("failures"),
    "marquee_model_batch_rows": _attribute("batch_rows"),
    "marquee_model_batch_cost": _attribute("batch_cost"),
    "marquee_model_requests_total": _attribute("answers"),
    "marquee_model_units_total": _counters("units"),
    "marquee_model_refusals_total": _counters("refusals"),
    "marquee_model_drops_total": _counters("drops"),
    "marquee_model_cache_lookups_total": _cache_lookups,
    "marquee_model_state": _model_states,
    "marquee_model_size_bytes": _model_sizes,
    "marquee_model_load_duration_seconds": _model_load_seconds,
    "marquee_queue_rows": _queue(0),
    "marquee_queue_cost": _queue(1),
    "marquee_cache_size_bytes": _cache(0),
    "marquee_cache_entries": _cache(1),
    "marquee_engines": _engines,
    "marquee_engines_busy": _engines_busy,
    "marquee_engine_longest_run_seconds": _longest_run,
    "marquee_usage_overflow_total": _single("usage_overflow"),
    "marquee_trace_spans_total": _spans,
    "marquee_process_threads": _threads,
    "marquee_build_info": _build,
}
