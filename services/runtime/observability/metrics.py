"""What a service counts about itself. Counting is cheap (no method takes two microseconds); a scrape does the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol
from weakref import WeakValueDictionary

import grpc
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric

from services.runtime.observability.accumulators import COST, ROWS, RPC_SECONDS, RUN_SECONDS, Counters, Histogram
from services.runtime.observability.metric_samples import Values, collect_families
from services.runtime.observability.text_format import pieces

_MOST_METHODS = 200
_MOST_MODELS = 1_000
OTHER = "OTHER"
"""Label of what exceeds the most series that one process may have."""


class ModelRow(Protocol):
    """What is known of one model version; the model repository's rows are such."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def version(self) -> str:
        """Version of the model."""

    @property
    def state(self) -> object:
        """State, a member of an enumeration or its name."""

    @property
    def size_bytes(self) -> int:
        """Size of its files."""

    @property
    def model(self) -> object | None:
        """The loaded model; its `load_seconds` is reported when it has one."""


class MethodMetrics:
    """The finished calls of one RPC method."""

    __slots__ = ("by_code", "method")

    def __init__(self, method: str) -> None:
        self.method = method
        self.by_code: dict[str, Histogram] = {}

    def finished(self, code: grpc.StatusCode | str, seconds: float) -> None:
        """Count a call that ended with `code` after `seconds`."""
        name = code if isinstance(code, str) else code._name_
        histogram = self.by_code.get(name)
        if histogram is None:
            histogram = self.by_code.setdefault(name, Histogram(RPC_SECONDS))
        histogram.observe(seconds)


class ModelMetrics:
    """What one version of one model did. Work that belongs to no version is not counted here."""

    __slots__ = (
        "__weakref__",
        "answers",
        "batch_cost",
        "batch_rows",
        "drops",
        "failures",
        "hits",
        "misses",
        "name",
        "queue_seconds",
        "refusals",
        "run_seconds",
        "units",
        "version",
    )

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.run_seconds = Histogram(RUN_SECONDS)
        self.batch_rows = Histogram(ROWS)
        self.batch_cost = Histogram(COST)
        self.queue_seconds = Histogram(RUN_SECONDS)
        self.answers = 0
        self.units = Counters()
        self.refusals = Counters()
        self.drops = Counters()
        self.failures = 0
        self.hits = 0
        self.misses = 0

    def ran(self, rows: int, cost: int, seconds: float) -> None:
        """Count a run of the model: rows and cost (in the model's unit) of its batch, and how long it took."""
        self.run_seconds.observe(seconds)
        self.batch_rows.observe(rows)
        self.batch_cost.observe(cost)

    def waited(self, seconds: float) -> None:
        """Count the time that a request waited from its arrival to the start of its first run."""
        self.queue_seconds.observe(seconds)

    def answered(self, unit: str, cost: int) -> None:
        """Count an answered request and its cost in `unit`, for example tokens."""
        self.answers += 1
        self.units.add(unit, cost)

    def refused(self, reason: str) -> None:
        """Count a request that was not accepted, under the reason its caller was told."""
        self.refusals.add(reason)

    def dropped(self, reason: str) -> None:
        """Count accepted work that was dropped before it was computed, since nobody waits for it any more."""
        self.drops.add(reason)

    def failed(self) -> None:
        """Count a run that raised."""
        self.failures += 1

    def cached(self, hit: bool) -> None:
        """Count a look into the response cache."""
        if hit:
            self.hits += 1
        else:
            self.misses += 1


class Metrics:
    """All metrics of one process.

    Args:
        service: short name of the service, for example "text".
        version: version of the software.
    """

    def __init__(self, service: str = "", version: str = "") -> None:
        self.service = service
        self.version = version
        self.methods: dict[str, MethodMetrics] = {}
        self.models: dict[tuple[str, str], ModelMetrics] = {}
        # Whoever still holds the metrics of a forgotten version goes on with the same counts when it comes back.
        self._forgotten: WeakValueDictionary[tuple[str, str], ModelMetrics] = WeakValueDictionary()
        self._lock = threading.Lock()
        self.queue: Callable[[], Mapping[tuple[str, str], tuple[int, int]]] | None = None
        self.cache: Callable[[], tuple[int, int]] | None = None
        self.engines: Callable[[], tuple[int, int]] | None = None
        self.runs: Callable[[], Iterable[float | None]] | None = None
        self.index: Callable[[], Iterable[ModelRow]] | None = None
        self.serving: Callable[[], bool] | None = None
        self.in_flight: Callable[[], int] | None = None
        self.usage_overflow: Callable[[], int] | None = None
        self.spans: Callable[[], Mapping[str, int]] | None = None
        self.own: dict[str, Callable[[], Values]] = {}
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def method(self, method: str) -> MethodMetrics:
        """Return the metrics of an RPC method, for example "/marquee.text.v1.TextService/EmbedText"."""
        return self.methods.get(method) or self._new_method(method)

    def model(self, name: str, version: str) -> ModelMetrics:
        """Return the metrics of a model version; it must be one of the repository's, not whatever a caller sends."""
        return self.models.get((name, version)) or self._new_model((name, version))

    def forget(self, name: str, version: str) -> None:
        """Stop reporting a version, which was unloaded."""
        with self._lock:
            model = self.models.pop((name, version), None)
            if model is not None:
                self._forgotten[name, version] = model

    def watch_queue(self, read: Callable[[], Mapping[tuple[str, str], tuple[int, int]]]) -> None:
        """Report what waits, by (model, version): rows and cost in the model's unit."""
        self.queue = read

    def watch_cache(self, read: Callable[[], tuple[int, int]]) -> None:
        """Report the response cache: bytes and entries."""
        self.cache = read

    def watch_engines(self, read: Callable[[], tuple[int, int]]) -> None:
        """Report the engines: how many run a model, and how many there are."""
        self.engines = read

    def watch_runs(self, read: Callable[[], Iterable[float | None]]) -> None:
        """Report the engines by when their runs began: a moment on the monotonic clock for each, None for an idle one.

        It says more than `watch_engines`, and replaces it.
        """
        self.runs = read

    def watch_models(self, read: Callable[[], Iterable[ModelRow]]) -> None:
        """Report the index of the model repository."""
        self.index = read

    def watch_serving(self, read: Callable[[], bool]) -> None:
        """Report whether the service's health is SERVING."""
        self.serving = read

    def watch_calls(self, read: Callable[[], int]) -> None:
        """Report how many calls are in flight."""
        self.in_flight = read

    def watch_usage(self, read: Callable[[], int]) -> None:
        """Report how many answers the usage meter counted under `other`."""
        self.usage_overflow = read

    def watch_spans(self, read: Callable[[], Mapping[str, int]]) -> None:
        """Report what became of spans: exported, dropped."""
        self.spans = read

    def watch(self, family: str, read: Callable[[], Values]) -> None:
        """Report a family of the catalogue that only this service has: label values in their order, and the value."""
        self.own[family] = read

    def collect(self) -> Iterator[Metric]:
        """Return the metric families as they are now; called by the registry at a scrape."""
        return collect_families(self)

    def expose(self) -> bytes:
        """Return the page of all metrics in Prometheus' text format."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Return the page in pieces that take about a millisecond each, so that an event loop can do other things
        between two of them.
        """
        return pieces(self.registry.collect())

    def _new_method(self, method: str) -> MethodMetrics:
        with self._lock:
            if len(self.methods) >= _MOST_METHODS:
                method = OTHER
            return self.methods.setdefault(method, MethodMetrics(method))

    def _new_model(self, key: tuple[str, str]) -> ModelMetrics:
        with self._lock:
            if len(self.models) >= _MOST_MODELS:
                key = (OTHER, OTHER)
            found = self.models.get(key) or self._forgotten.pop(key, None) or ModelMetrics(*key)
            self.models[key] = found
            return found
