"""Every metric of a service: its name, what it means and the question that it answers, as `docs/metrics.md` shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How a metric behaves; the values are Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Family:
    """One metric.

    Attributes:
        name: as Prometheus stores it; the unit is its last word, `_total` ends a counter.
        kind: how it behaves.
        labels: their names, in order.
        help: one sentence for the metrics page.
        question: what an operator learns from it.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    question: str


_VERSION = ("model", "version")
_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

CATALOGUE = (
    Family(
        "marquee_rpc_duration_seconds",
        _HISTOGRAM,
        ("method", "code"),
        "Time from the arrival of a call to its end, by method and gRPC status code.",
        "How many calls are there, how many fail and why, how long do callers wait?",
    ),
    Family(
        "marquee_rpcs_in_flight",
        _GAUGE,
        (),
        "Calls that are being served.",
        "Does work pile up? Is a draining process empty?",
    ),
    Family("marquee_serving", _GAUGE, (), "1 while the health of the service is SERVING, else 0.", "Does it serve?"),
    Family(
        "marquee_model_queue_duration_seconds",
        _HISTOGRAM,
        _VERSION,
        "Time that a request waited from its arrival to the start of its first model run.",
        "Are there enough engines and replicas?",
    ),
    Family(
        "marquee_model_run_duration_seconds",
        _HISTOGRAM,
        _VERSION,
        "Duration of one run of the model; its count is the number of runs.",
        "Is the model itself slow, or what surrounds it?",
    ),
    Family(
        "marquee_model_run_failures_total",
        _COUNTER,
        _VERSION,
        "Runs that raised an error.",
        "Is a model version broken?",
    ),
    Family(
        "marquee_model_batch_rows",
        _HISTOGRAM,
        _VERSION,
        "Rows of one run.",
        "Do requests share runs? One row a run under load means that they do not.",
    ),
    Family(
        "marquee_model_batch_cost",
        _HISTOGRAM,
        _VERSION,
        "Cost of one run in the model's unit: tokens with padding, pixels or rows.",
        "How large are the runs, and what does a unit cost in time?",
    ),
    Family(
        "marquee_model_requests_total",
        _COUNTER,
        _VERSION,
        "Requests that were answered, from the cache too.",
        "Which models are used? May an old version go?",
    ),
    Family(
        "marquee_model_units_total",
        _COUNTER,
        (*_VERSION, "unit"),
        "Cost of the answered requests, in the model's unit.",
        "How much is asked of a model? (By tenant: `marquee usage`.)",
    ),
    Family(
        "marquee_model_refusals_total",
        _COUNTER,
        (*_VERSION, "reason"),
        "Requests that were refused before they were queued, by the reason that the caller was told.",
        "Is there more load than capacity?",
    ),
    Family(
        "marquee_model_drops_total",
        _COUNTER,
        (*_VERSION, "reason"),
        "Accepted requests dropped before they were computed, or given up in the middle of a text: nobody waited.",
        "Do callers give up? Are their deadlines shorter than the queue?",
    ),
    Family(
        "marquee_model_cache_lookups_total",
        _COUNTER,
        (*_VERSION, "result"),
        "Looks into the response cache, by result (hit or miss); only of models whose answers are cached.",
        "Is the cache worth its memory?",
    ),
    Family(
        "marquee_model_state",
        _GAUGE,
        (*_VERSION, "state"),
        "1 for the state that a version of the repository is in, 0 for the others.",
        "Is the new version ready? Was one refused?",
    ),
    Family(
        "marquee_model_size_bytes",
        _GAUGE,
        _VERSION,
        "Size of a version's files.",
        "How large are the models on this machine?",
    ),
    Family(
        "marquee_model_load_duration_seconds",
        _GAUGE,
        _VERSION,
        "Time that a loaded version took to be verified, loaded, checked against its golden outputs and warmed up.",
        "How long until a fresh replica serves?",
    ),
    Family(
        "marquee_queue_rows",
        _GAUGE,
        _VERSION,
        "Rows that wait for an engine.",
        "Which model makes the others wait?",
    ),
    Family(
        "marquee_queue_cost",
        _GAUGE,
        _VERSION,
        "Cost of the rows that wait for an engine, in the model's unit.",
        "How much work waits?",
    ),
    Family("marquee_cache_size_bytes", _GAUGE, (), "Size of the response cache.", "Is the cache full?"),
    Family("marquee_cache_entries", _GAUGE, (), "Responses in the cache.", "How large is a cached response?"),
    Family(
        "marquee_engines_busy",
        _GAUGE,
        (),
        "Engines that run a model.",
        "Is the process saturated? Is an engine stuck?",
    ),
    Family("marquee_engines", _GAUGE, (), "Engines of the process.", "What is the most that can run at once?"),
    Family(
        "marquee_engine_longest_run_seconds",
        _GAUGE,
        (),
        "Time that the oldest run in progress takes so far; 0 when all engines are idle.",
        "Does an engine hang?",
    ),
    Family(
        "marquee_answers_total",
        _COUNTER,
        ("method", "outcome"),
        "Composed answers of the orchestrator: `whole`, or `degraded` when a fallback stood in for a part.",
        "How many users get less than they should, although no call fails?",
    ),
    Family(
        "marquee_step_duration_seconds",
        _HISTOGRAM,
        ("step", "service"),
        "Time that a step of a composed answer took, by the service that did it; skipped steps are not counted.",
        "Which part of an answer takes the time?",
    ),
    Family(
        "marquee_step_fallbacks_total",
        _COUNTER,
        ("step", "service"),
        "Steps that a fallback stood in for.",
        "What is missing in degraded answers, and whose part is it?",
    ),
    Family(
        "marquee_store_duration_seconds",
        _HISTOGRAM,
        ("operation",),
        "Time that an operation of the orchestrator's store took, failed ones too.",
        "Is the database slow?",
    ),
    Family(
        "marquee_store_failures_total",
        _COUNTER,
        ("operation", "reason"),
        "Operations of the store that failed, by the reason that the caller was told.",
        "Is the database away, full or overloaded?",
    ),
    Family(
        "marquee_events_total",
        _COUNTER,
        ("outcome",),
        "Events whose fate was acknowledged: `written`, `duplicate`, `conflicting` (an id again, with another content)"
        " or `erased` (of a user who was erased).",
        "Do events arrive? Does a producer send things twice?",
    ),
    Family(
        "marquee_bundles",
        _GAUGE,
        ("service", "state"),
        "Bundles that should serve a tenant, by model service: `loaded`, or `missing` at the last look.",
        "Does every model service have what recommendations need?",
    ),
    Family(
        "marquee_bundle_create_time_seconds",
        _GAUGE,
        (),
        "When the oldest bundle that serves a tenant was fitted, in seconds since the unix epoch.",
        "Is it time to train?",
    ),
    Family(
        "marquee_certificate_expiry_time_seconds",
        _GAUGE,
        ("setting",),
        "When the certificate in the file that a setting names expires, in seconds since the unix epoch.",
        "Is a certificate renewed in time?",
    ),
    Family(
        "marquee_usage_overflow_total",
        _COUNTER,
        (),
        "Answers that the usage meter could only count as `other`, for too many distinct tenants and models.",
        "Is the usage complete by tenant?",
    ),
    Family(
        "marquee_trace_spans_total",
        _COUNTER,
        ("outcome",),
        "Spans by what became of them: exported to the collector, failed to be, or dropped since too many waited.",
        "Are traces complete?",
    ),
    Family(
        "marquee_process_threads",
        _GAUGE,
        (),
        "Threads that Python knows of.",
        "Does a thread pool leak?",
    ),
    Family(
        "marquee_build_info",
        _GAUGE,
        ("service", "version", "python", "grpc", "onnxruntime", "protobuf"),
        "1; the labels say what runs.",
        "Which version runs where?",
    ),
    Family(
        "process_cpu_seconds_total",
        _COUNTER,
        (),
        "Total user and system CPU time spent in seconds.",
        "What does a request cost? Is the process throttled?",
    ),
    Family("process_resident_memory_bytes", _GAUGE, (), "Resident memory size in bytes.", "Does memory grow?"),
    Family("process_virtual_memory_bytes", _GAUGE, (), "Virtual memory size in bytes.", "What was reserved?"),
    Family(
        "process_start_time_seconds",
        _GAUGE,
        (),
        "Start time of the process since unix epoch in seconds.",
        "When did it restart?",
    ),
    Family("process_open_fds", _GAUGE, (), "Number of open file descriptors.", "Do connections leak?"),
    Family("process_max_fds", _GAUGE, (), "Maximum number of open file descriptors.", "How many may there be?"),
    Family(
        "python_gc_collections_total",
        _COUNTER,
        ("generation",),
        "Number of times this generation was collected",
        "Do pauses come from garbage collection?",
    ),
    Family(
        "python_gc_objects_collected_total",
        _COUNTER,
        ("generation",),
        "Objects collected during gc",
        "Does the code make cycles?",
    ),
    Family(
        "python_gc_objects_uncollectable_total",
        _COUNTER,
        ("generation",),
        "Uncollectable objects found during GC",
        "Does a library leak?",
    ),
)
