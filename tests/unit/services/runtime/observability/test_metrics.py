from __future__ import annotations

import threading
import timeit
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import grpc
import pytest
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.runtime.observability.metric_catalogue import CATALOGUE
from services.runtime.observability.metrics import Metrics

Samples = list[tuple[str, list[tuple[str, str]], float]]
METHOD = "/marquee.text.v1.TextService/EmbedText"


class State(Enum):
    """As the model repository's."""

    READY = 1
    FAILED = 2


@dataclass
class Row:
    """One version of the model repository."""

    name: str
    version: str
    state: object
    size_bytes: int = 1000
    model: object | None = None


def samples(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics.expose()).get((name, frozenset(labels.items())))


def test_calls_are_counted_by_method_and_code_with_their_durations() -> None:
    metrics = Metrics("text", "1.2.3")
    method = metrics.method(METHOD)
    for seconds in (0.0001, 0.003, 0.003, 99.0):
        method.finished(grpc.StatusCode.OK, seconds)
    method.finished("NOT_FOUND", 0.001)
    labels = {"method": METHOD[1:], "code": "OK"}
    assert value(metrics, "marquee_rpc_duration_seconds_count", **labels) == 4
    assert value(metrics, "marquee_rpc_duration_seconds_bucket", **labels, le="0.0005") == 1
    assert value(metrics, "marquee_rpc_duration_seconds_bucket", **labels, le="0.005") == 3
    assert value(metrics, "marquee_rpc_duration_seconds_bucket", **labels, le="30.0") == 3
    assert value(metrics, "marquee_rpc_duration_seconds_bucket", **labels, le="+Inf") == 4
    assert value(metrics, "marquee_rpc_duration_seconds_sum", **labels) == pytest.approx(99.0061)
    not_found = {"method": METHOD[1:], "code": "NOT_FOUND"}
    # A bound belongs to its bucket.
    assert value(metrics, "marquee_rpc_duration_seconds_bucket", **not_found, le="0.001") == 1


def test_everything_that_a_model_does_is_on_the_page() -> None:
    metrics = Metrics()
    model = metrics.model("minilm", "2")
    model.ran(rows=8, cost=512, seconds=0.01)
    model.waited(0.002)
    model.answered("tokens", 64)
    model.answered("tokens", 6)
    model.refused("QUEUE_FULL")
    model.dropped("DEADLINE")
    model.dropped("CANCELLED")
    model.failed()
    model.cached(True)
    model.cached(False)
    model.cached(False)
    labels = {"model": "minilm", "version": "2"}
    for name, expected in {
        "marquee_model_run_duration_seconds_count": 1,
        "marquee_model_batch_rows_sum": 8,
        "marquee_model_batch_cost_sum": 512,
        "marquee_model_queue_duration_seconds_sum": 0.002,
        "marquee_model_requests_total": 2,
        "marquee_model_run_failures_total": 1,
    }.items():
        assert value(metrics, name, **labels) == expected, name
    assert value(metrics, "marquee_model_units_total", **labels, unit="tokens") == 70
    assert value(metrics, "marquee_model_refusals_total", **labels, reason="QUEUE_FULL") == 1
    assert value(metrics, "marquee_model_drops_total", **labels, reason="DEADLINE") == 1
    assert value(metrics, "marquee_model_drops_total", **labels, reason="CANCELLED") == 1
    assert value(metrics, "marquee_model_cache_lookups_total", **labels, result="hit") == 1
    assert value(metrics, "marquee_model_cache_lookups_total", **labels, result="miss") == 2


def test_what_is_watched_is_read_when_somebody_looks() -> None:
    metrics = Metrics()
    waiting = {("minilm", "2"): (3, 48)}
    metrics.watch_queue(lambda: waiting)
    metrics.watch_cache(lambda: (2048, 4))
    metrics.watch_serving(lambda: True)
    metrics.watch_calls(lambda: 7)
    metrics.watch_usage(lambda: 5)
    metrics.watch_spans(lambda: {"exported": 9, "dropped": 1})
    assert value(metrics, "marquee_queue_rows", model="minilm", version="2") == 3
    assert value(metrics, "marquee_queue_cost", model="minilm", version="2") == 48
    waiting.clear()
    assert value(metrics, "marquee_queue_rows", model="minilm", version="2") is None
    assert value(metrics, "marquee_cache_size_bytes") == 2048
    assert value(metrics, "marquee_cache_entries") == 4
    assert value(metrics, "marquee_serving") == 1
    assert value(metrics, "marquee_rpcs_in_flight") == 7
    assert value(metrics, "marquee_usage_overflow_total") == 5
    assert value(metrics, "marquee_trace_spans_total", outcome="exported") == 9


def test_a_hung_engine_can_be_seen() -> None:
    metrics = Metrics()
    metrics.watch_engines(lambda: (1, 4))
    assert value(metrics, "marquee_engines_busy") == 1
    assert value(metrics, "marquee_engines") == 4
    metrics.watch_runs(lambda: [None, 0.0, None])  # since the machine started
    assert value(metrics, "marquee_engines") == 3
    assert value(metrics, "marquee_engines_busy") == 1
    longest = value(metrics, "marquee_engine_longest_run_seconds")
    assert longest is not None
    assert longest > 1
    metrics.watch_runs(lambda: [None])
    assert value(metrics, "marquee_engine_longest_run_seconds") == 0


def test_versions_of_the_repository_show_state_size_and_load_time() -> None:
    metrics = Metrics()
    rows = [
        Row("minilm", "1", State.READY, 5000, SimpleNamespace(load_seconds=1.5)),
        Row("minilm", "2", State.FAILED),
        Row("forest", "1", "unloaded"),
    ]
    metrics.watch_models(lambda: rows)
    assert value(metrics, "marquee_model_state", model="minilm", version="1", state="READY") == 1
    assert value(metrics, "marquee_model_state", model="minilm", version="1", state="FAILED") == 0
    assert value(metrics, "marquee_model_state", model="minilm", version="2", state="FAILED") == 1
    assert value(metrics, "marquee_model_state", model="forest", version="1", state="UNLOADED") == 1
    assert value(metrics, "marquee_model_size_bytes", model="minilm", version="1") == 5000
    assert value(metrics, "marquee_model_load_duration_seconds", model="minilm", version="1") == 1.5
    assert value(metrics, "marquee_model_load_duration_seconds", model="minilm", version="2") is None


def test_the_page_tells_what_runs_and_what_it_takes() -> None:
    page = Metrics("text", "1.2.3").expose().decode()
    assert 'service="text",version="1.2.3"' in page
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in page
    assert "\nmarquee_process_threads " in page


def test_a_forgotten_version_is_gone_and_goes_on_when_it_comes_back() -> None:
    metrics = Metrics()
    model = metrics.model("minilm", "1")
    model.failed()
    labels = {"model": "minilm", "version": "1"}
    metrics.forget("minilm", "1")
    metrics.forget("minilm", "never known")
    assert value(metrics, "marquee_model_run_failures_total", **labels) is None
    model.failed()  # a request in flight
    assert metrics.model("minilm", "1") is model
    assert value(metrics, "marquee_model_run_failures_total", **labels) == 2


def test_a_sick_part_of_the_process_costs_its_own_metrics_only() -> None:
    metrics = Metrics()
    metrics.model("minilm", "1").failed()

    def broken() -> tuple[int, int]:
        raise RuntimeError

    metrics.watch_cache(broken)
    page = metrics.expose().decode()
    assert "marquee_model_run_failures_total" in page
    assert "marquee_cache" not in page


def test_the_number_of_series_is_bounded() -> None:
    metrics = Metrics()
    for number in range(1_500):
        metrics.model(f"m{number}", "1").failed()
        metrics.method(f"/made.up/{number}").finished("OK", 0.1)
        metrics.model("m0", "1").refused(f"REASON_{number}")
    assert len(metrics.models) == 1_001
    assert len(metrics.methods) <= 201
    page = samples(metrics.expose())
    assert page["marquee_model_run_failures_total", frozenset({"model": "OTHER", "version": "OTHER"}.items())] == 500
    reasons = {dict(labels)["reason"]: count for (name, labels), count in page.items() if "refusals" in name}
    assert len(reasons) == 33
    assert reasons["OTHER"] == 1_500 - 32


def test_no_count_is_lost_between_threads() -> None:
    metrics = Metrics()

    def work() -> None:
        model, method = metrics.model("minilm", "1"), metrics.method(METHOD)
        for _ in range(20_000):
            model.ran(1, 1, 0.001)
            model.refused("QUEUE_FULL")
            method.finished(grpc.StatusCode.OK, 0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "marquee_model_batch_rows_sum", model="minilm", version="1") == 80_000
    assert value(metrics, "marquee_model_refusals_total", model="minilm", version="1", reason="QUEUE_FULL") == 80_000
    assert value(metrics, "marquee_rpc_duration_seconds_count", method=METHOD[1:], code="OK") == 80_000


def test_the_page_is_what_the_library_would_have_written() -> None:
    metrics = Metrics("text", 'a "quoted"\\ version\n')
    metrics.model("minilm", "1").ran(3, 17, 0.0123456789)
    metrics.method(METHOD).finished("OK", 1e-7)

    def content(page: bytes) -> dict[str, tuple[str, str, Samples]]:
        return {family.name: described(family) for family in text_string_to_metric_families(page.decode())}

    def described(family: Metric) -> tuple[str, str, Samples]:
        kept = [sample for sample in family.samples if not sample.name.endswith("_created")]
        changing = family.name.startswith(("process_", "python_"))
        return (
            family.documentation,
            family.type,
            sorted(
                (sample.name, sorted(sample.labels.items()), 0.0 if changing else float(sample.value))
                for sample in kept
            ),
        )

    assert content(metrics.expose()) == content(generate_latest(metrics.registry))


def test_names_and_units_follow_the_conventions() -> None:
    names = [family.name for family in CATALOGUE]
    assert len(set(names)) == len(names)
    for family in CATALOGUE:
        assert family.help.strip()
        assert family.question.endswith("?") or family.question.endswith((".", ")"))
        assert family.name.endswith("_total") == (family.kind.value == "counter"), family.name
        assert "tenant" not in family.labels


def test_every_family_on_the_page_is_in_the_catalogue() -> None:
    metrics = Metrics()
    metrics.model("m", "1").ran(1, 1, 0.1)
    known = {family.name.removesuffix("_total") for family in CATALOGUE}
    assert {family.name.removesuffix("_total") for family in metrics.registry.collect()} <= known


def test_counting_is_cheap_enough_for_the_hot_path() -> None:
    metrics = Metrics()
    method, model = metrics.method(METHOD), metrics.model("m", "1")
    for count in (
        lambda: method.finished(grpc.StatusCode.OK, 0.01),
        lambda: model.ran(4, 64, 0.01),
        lambda: model.waited(0.01),
        lambda: model.answered("tokens", 5),
        lambda: model.refused("QUEUE_FULL"),
        lambda: metrics.model("m", "1"),
    ):
        best = min(timeit.repeat(count, number=2_000, repeat=10)) / 2_000
        assert best < 5e-6  # 0.1 to 0.8 µs; room for a slow or busy machine
