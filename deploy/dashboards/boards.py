"""The dashboards: the mesh, and one a service."""

from __future__ import annotations

from deploy.dashboards.common import (
    OK,
    OWN_FAULT,
    calls,
    chosen,
    health,
    method_name,
    process,
    quantile,
    quantiles,
    rate,
)
from deploy.dashboards.panels import Dashboard, Panel, Query, Row

RECOMMEND = 'method="marquee.entertainment.v1.RecommendationService/Recommend"'
DEGRADED = 'outcome="degraded"'
UNITS = {
    "text": ("tokens", "Tokens, padding left out"),
    "vision": ("pixels", "Pixels"),
    "classical": ("rows", "Rows"),
}
"""In what a family measures its work, as its models say."""


def _mesh() -> Dashboard:
    front, every = chosen("orchestrator"), chosen()
    all_calls = f"sum({rate('marquee_rpc_duration_seconds_count', front)})"
    bad_calls = f"sum({rate('marquee_rpc_duration_seconds_count', chosen('orchestrator', OWN_FAULT))})"
    degraded = f"sum({rate('marquee_answers_total', chosen('orchestrator', DEGRADED))})"
    answers = f"sum({rate('marquee_answers_total', front)})"
    recommend = rate("marquee_rpc_duration_seconds_bucket", chosen("orchestrator", RECOMMEND, OK))
    numbers = Row(
        "Is it well?",
        [
            Panel(
                "Pods that serve",
                "Pods whose health is SERVING, by component.",
                [Query(f"sum by (component) (marquee_serving{{{every}}})", "{{component}}")],
                width=6,
                number=True,
                thresholds=(1, 0.5),
            ),
            Panel("Calls a second", "Calls of the orchestrator.", [Query(all_calls)], "reqps", width=3, number=True),
            Panel(
                "Failed by our own fault",
                "Share of the orchestrator's calls.",
                [Query(f"({bad_calls} or vector(0)) / {all_calls}")],
                "percentunit",
                width=3,
                number=True,
                thresholds=(0.001, 0.01),
            ),
            Panel(
                "Recommend, p99",
                "Time that 99 of 100 recommendations do not exceed.",
                [Query(f"histogram_quantile(0.99, sum by (le) ({recommend}))")],
                "s",
                width=3,
                number=True,
                thresholds=(0.1, 0.2),
            ),
            Panel(
                "Degraded answers",
                "Share of composed answers in which a fallback stood in for a part.",
                [Query(f"({degraded} or vector(0)) / {answers}")],
                "percentunit",
                width=3,
                number=True,
                thresholds=(0.01, 0.05),
            ),
            Panel(
                "Refusals a second",
                "Requests that model services refused, for want of room.",
                [Query(f"sum({rate('marquee_model_refusals_total', every)}) or vector(0)")],
                "reqps",
                width=3,
                number=True,
                thresholds=(0.1, 1),
            ),
            Panel(
                "Oldest bundle",
                "Time since the oldest bundle that serves a tenant was fitted.",
                [Query(f"time() - min(marquee_bundle_create_time_seconds{{{front}}})")],
                "s",
                width=3,
                number=True,
                thresholds=(7 * 86400, 14 * 86400),
            ),
        ],
    )
    services = Row(
        "Model services",
        [
            Panel(
                "Requests by service",
                "Answered requests of models a second.",
                [Query(f"sum by (component) ({rate('marquee_model_requests_total', every)})", "{{component}}")],
                "reqps",
            ),
            Panel(
                "Wait for an engine, p99",
                "Time from the arrival of a request to its first model run.",
                [Query(quantile(0.99, "marquee_model_queue_duration_seconds", "component", every), "{{component}}")],
                "s",
            ),
            Panel(
                "Engines at work",
                "Share of the time that the engines run models; at 1 the queue begins to grow.",
                [
                    Query(
                        f"sum by (component) ({rate('marquee_model_run_duration_seconds_sum', every)})"
                        f" / sum by (component) (marquee_engines{{{every}}})",
                        "{{component}}",
                    )
                ],
                "percentunit",
            ),
        ],
    )
    return Dashboard(
        "marquee-mesh",
        "Marquee: the mesh",
        "Whether the mesh is well, and which part is not. Metrics: docs/metrics.md. Alerts: docs/runbooks.md.",
        [numbers, calls("orchestrator"), _answers(), services, _resources()],
    )


def _resources() -> Row:
    every = chosen()
    return Row(
        "Resources",
        [
            Panel(
                "Processor time by component",
                "Processors in use.",
                [Query(f"sum by (component) ({rate('process_cpu_seconds_total', every)})", "{{component}}")],
                stacked=True,
            ),
            Panel(
                "Memory by component",
                "Resident memory.",
                [Query(f"sum by (component) (process_resident_memory_bytes{{{every}}})", "{{component}}")],
                "bytes",
                stacked=True,
            ),
            Panel(
                "Versions",
                "Pods by component and version of the software; more than one during a rollout.",
                [Query(f"count by (component, version) (marquee_build_info{{{every}}})", "{{component}} {{version}}")],
                stacked=True,
            ),
        ],
    )


def _answers() -> Row:
    of = chosen("orchestrator")
    degraded = rate("marquee_answers_total", chosen("orchestrator", DEGRADED))
    return Row(
        "Answers and their steps",
        [
            Panel(
                "Degraded answers by method",
                "Answers a second in which a fallback stood in for a part; no call failed.",
                [Query(method_name(f"sum by (method) ({degraded})"), "{{rpc}}")],
                "reqps",
                stacked=True,
            ),
            Panel(
                "Fallbacks by step",
                "Steps a second that a fallback stood in for; docs/fallbacks.md says what each one means.",
                [
                    Query(
                        f"sum by (step, service) ({rate('marquee_step_fallbacks_total', of)})", "{{step}} ({{service}})"
                    )
                ],
                "ops",
                stacked=True,
            ),
            Panel(
                "Steps, p99",
                "Time that 99 of 100 runs of a step do not exceed; the ten slowest.",
                [Query(f"topk(10, {quantile(0.99, 'marquee_step_duration_seconds', 'step', of)})", "{{step}}")],
                "s",
            ),
        ],
    )


def _orchestrator() -> Dashboard:
    of = chosen("orchestrator")
    store = Row(
        "Store, events, bundles",
        [
            Panel(
                "Store, p99",
                "Time of the database's operations; the ten slowest.",
                [
                    Query(
                        f"topk(10, {quantile(0.99, 'marquee_store_duration_seconds', 'operation', of)})",
                        "{{operation}}",
                    )
                ],
                "s",
            ),
            Panel(
                "Operations by kind",
                "Operations of the store a second.",
                [Query(f"sum by (operation) ({rate('marquee_store_duration_seconds_count', of)})", "{{operation}}")],
                "ops",
                stacked=True,
            ),
            Panel(
                "Operations that failed",
                "By the reason that the caller was told.",
                [Query(f"sum by (reason) ({rate('marquee_store_failures_total', of)})", "{{reason}}")],
                "ops",
                stacked=True,
            ),
            Panel(
                "Events acknowledged",
                "A second, by what became of them.",
                [Query(f"sum by (outcome) ({rate('marquee_events_total', of)})", "{{outcome}}")],
                "ops",
                stacked=True,
            ),
            Panel(
                "Bundles",
                "Bundles that should serve, by model service and whether it has them.",
                [Query(f"max by (service, state) (marquee_bundles{{{of}}})", "{{service}}: {{state}}")],
            ),
            Panel(
                "Age of the oldest bundle",
                "Time since the oldest bundle that serves a tenant was fitted.",
                [Query(f"time() - min(marquee_bundle_create_time_seconds{{{of}}})", "oldest")],
                "s",
            ),
        ],
    )
    rows = [health("orchestrator"), calls("orchestrator"), _answers(), store, process("orchestrator")]
    return Dashboard(
        "marquee-orchestrator",
        "Marquee: orchestrator",
        "The API that callers see: its calls, the steps of its answers, its store. Metrics: docs/metrics.md.",
        rows,
        "orchestrator",
    )


def _model_service(component: str) -> Dashboard:
    of = chosen(component)
    unit, in_words = UNITS[component]
    refusals = rate("marquee_model_refusals_total", of)
    hits = rate("marquee_model_cache_lookups_total", chosen(component, 'result="hit"'))
    models = Row(
        "Models",
        [
            Panel(
                "Requests by model",
                "Answered requests a second, from the cache too.",
                [
                    Query(
                        f"sum by (model, version) ({rate('marquee_model_requests_total', of)})", "{{model}} {{version}}"
                    )
                ],
                "reqps",
                stacked=True,
            ),
            Panel(
                f"Work by model, in {unit}",
                f"{in_words} a second.",
                [Query(f"sum by (model, unit) ({rate('marquee_model_units_total', of)})", "{{model}} ({{unit}})")],
                stacked=True,
            ),
            Panel(
                "Time of a run",
                "Median and 99th percentile of one run of a model.",
                quantiles("marquee_model_run_duration_seconds", "model", of),
                "s",
            ),
            Panel(
                "Rows of an average run",
                "One under load means that requests do not share runs.",
                [
                    Query(
                        f"sum by (model) ({rate('marquee_model_batch_rows_sum', of)})"
                        f" / sum by (model) ({rate('marquee_model_batch_rows_count', of)})",
                        "{{model}}",
                    )
                ],
            ),
            Panel(
                "Versions by state",
                "Versions of the repository; one that is FAILED was refused.",
                [Query(f"sum by (state) (marquee_model_state{{{of}}} == 1)", "{{state}}")],
                stacked=True,
            ),
            Panel(
                "Time to load",
                "Time that a version took to be verified, loaded, checked and warmed up.",
                [
                    Query(
                        f"max by (model, version) (marquee_model_load_duration_seconds{{{of}}})",
                        "{{model}} {{version}}",
                    )
                ],
                "s",
            ),
        ],
    )
    queue = Row(
        "Queue and engines",
        [
            Panel(
                "Wait for an engine",
                "Median and 99th percentile of the time from the arrival of a request to its first run.",
                quantiles("marquee_model_queue_duration_seconds", "model", of),
                "s",
            ),
            Panel(
                "Rows that wait",
                "By model.",
                [Query(f"sum by (model) (marquee_queue_rows{{{of}}})", "{{model}}")],
                stacked=True,
            ),
            Panel(
                "Engines at work",
                "Share of the time that a pod's engines run models; at 1 the queue begins to grow.",
                [
                    Query(
                        f"sum by (pod) ({rate('marquee_model_run_duration_seconds_sum', of)})"
                        f" / sum by (pod) (marquee_engines{{{of}}})",
                        "{{pod}}",
                    )
                ],
                "percentunit",
            ),
            Panel(
                "Longest run in progress",
                "An engine whose run goes on and on hangs; the watchdog takes its pod out.",
                [Query(f"max by (pod) (marquee_engine_longest_run_seconds{{{of}}})", "{{pod}}")],
                "s",
                width=6,
            ),
            Panel(
                "Refused and dropped",
                "Requests a second: refused for want of room, or dropped since nobody waited any more.",
                [
                    Query(f"sum by (reason) ({refusals})", "refused: {{reason}}"),
                    Query(f"sum by (reason) ({rate('marquee_model_drops_total', of)})", "dropped: {{reason}}"),
                ],
                "reqps",
                width=6,
                stacked=True,
            ),
            Panel(
                "Runs that failed",
                "Runs a second that raised an error.",
                [
                    Query(
                        f"sum by (model, version) ({rate('marquee_model_run_failures_total', of)})",
                        "{{model}} {{version}}",
                    )
                ],
                "ops",
                width=6,
            ),
            Panel(
                "Answers from the cache",
                "Share of the looks into the response cache that found the answer.",
                [
                    Query(
                        f"sum by (model) ({hits}) / sum by (model) ({rate('marquee_model_cache_lookups_total', of)})",
                        "{{model}}",
                    )
                ],
                "percentunit",
                width=6,
            ),
        ],
    )
    return Dashboard(
        f"marquee-{component}",
        f"Marquee: {component}",
        f"The {component} service: its calls, models, queue and engines. Metrics: docs/metrics.md.",
        [health(component), calls(component), models, queue, process(component)],
        component,
    )


def dashboards() -> list[Dashboard]:
    """Return all dashboards."""
    return [_mesh(), _orchestrator(), *(_model_service(component) for component in UNITS)]
