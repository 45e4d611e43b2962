"""Panels that more than one dashboard shows, for whichever service."""

from __future__ import annotations

from deploy.dashboards.panels import Panel, Query, Row

OWN_FAULT = 'code=~"UNKNOWN|INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|DATA_LOSS"'
"""Matches the gRPC codes that are the service's own fault."""
OK, NOT_OK = 'code="OK"', 'code!="OK"'


def chosen(component: str = "", *further: str) -> str:
    """Return the label matchers of the dashboard's variables, for one component or for the chosen ones."""
    of = f'component="{component}"' if component else 'component=~"$component"'
    return ",".join(('namespace=~"$namespace"', 'release=~"$release"', of, 'pod=~"$pod"', *further))


def rate(metric: str, matchers: str) -> str:
    """Return the increase a second of a counter."""
    return f"rate({metric}{{{matchers}}}[$__rate_interval])"


def quantile(part: float, metric: str, by: str, matchers: str) -> str:
    """Return a quantile of a histogram by labels."""
    return f"histogram_quantile({part}, sum by ({by}, le) ({rate(metric + '_bucket', matchers)}))"


def quantiles(metric: str, by: str, matchers: str) -> list[Query]:
    """Return the median and the 99th percentile of a histogram by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return [
        Query(quantile(part, metric, by, matchers), f"{name} {legend}") for part, name in ((0.5, "p50"), (0.99, "p99"))
    ]


def method_name(expression: str) -> str:
    """Return the expression with a label `rpc`: the method without the path of its contract."""
    return f'label_replace({expression}, "rpc", "$1", "method", ".*/(.*)")'


def calls(component: str) -> Row:
    """Return what callers of a service see."""
    of = chosen(component)
    per_method = f"sum by (method) ({rate('marquee_rpc_duration_seconds_count', of)})"
    answered = chosen(component, OK)
    p99 = quantile(0.99, "marquee_rpc_duration_seconds", "method", answered)
    failures = rate("marquee_rpc_duration_seconds_count", chosen(component, NOT_OK))
    return Row(
        "Calls",
        [
            Panel(
                "Calls by method",
                "Finished calls a second.",
                [Query(method_name(per_method), "{{rpc}}")],
                "reqps",
                stacked=True,
            ),
            Panel(
                "Calls that failed, by code",
                "Codes other than OK. RESOURCE_EXHAUSTED is a refusal, INVALID_ARGUMENT the caller's mistake.",
                [Query(f"sum by (code) ({failures})", "{{code}}")],
                "reqps",
                stacked=True,
            ),
            Panel(
                "Time of answered calls, p99",
                "Time that 99 of 100 answered calls do not exceed.",
                [Query(method_name(p99), "{{rpc}}")],
                "s",
            ),
        ],
    )


def health(component: str) -> Row:
    """Return the numbers that tell at a glance whether a service is well."""
    of = chosen(component)
    every = f"sum({rate('marquee_rpc_duration_seconds_count', of)})"
    bad = f"sum({rate('marquee_rpc_duration_seconds_count', chosen(component, OWN_FAULT))})"
    return Row(
        "Is it well?",
        [
            Panel(
                "Pods that serve",
                "Pods whose health is SERVING, of those that are scraped.",
                [Query(f"sum(marquee_serving{{{of}}})", "serving"), Query(f"count(marquee_serving{{{of}}})", "pods")],
                width=4,
                number=True,
            ),
            Panel("Calls a second", "Finished calls.", [Query(every)], "reqps", width=4, number=True),
            Panel(
                "Failed by our own fault",
                "Share of calls that ended with UNKNOWN, INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED or DATA_LOSS.",
                [Query(f"({bad} or vector(0)) / {every}")],
                "percentunit",
                width=4,
                number=True,
                thresholds=(0.001, 0.01),
            ),
            Panel(
                "Calls in flight",
                "Calls that are being served now.",
                [Query(f"sum(marquee_rpcs_in_flight{{{of}}})")],
                width=4,
                number=True,
            ),
            Panel(
                "Memory of the largest pod",
                "Resident memory.",
                [Query(f"max(process_resident_memory_bytes{{{of}}})")],
                "bytes",
                width=4,
                number=True,
            ),
            Panel(
                "Certificate expires in",
                "Time until the first certificate of a chosen pod expires; empty without TLS.",
                [Query(f"min(marquee_certificate_expiry_time_seconds{{{of}}}) - time()")],
                "s",
                width=4,
                number=True,
                thresholds=(14 * 86400, 3 * 86400),
            ),
        ],
    )


def process(component: str) -> Row:
    """Return what the processes of a service take."""
    of = chosen(component)
    collections = rate("python_gc_collections_total", chosen(component, 'generation="2"'))
    return Row(
        "Processes",
        [
            Panel(
                "Processor time",
                "Processors in use by pod.",
                [Query(f"sum by (pod) ({rate('process_cpu_seconds_total', of)})", "{{pod}}")],
            ),
            Panel(
                "Memory",
                "Resident memory by pod.",
                [Query(f"sum by (pod) (process_resident_memory_bytes{{{of}}})", "{{pod}}")],
                "bytes",
            ),
            Panel(
                "Age",
                "Time since the process began; a drop to zero is a restart.",
                [Query(f"time() - process_start_time_seconds{{{of}}}", "{{pod}}")],
                "s",
            ),
            Panel(
                "Open files",
                "Open file descriptors, connections among them.",
                [Query(f"sum by (pod) (process_open_fds{{{of}}})", "{{pod}}")],
                width=6,
            ),
            Panel(
                "Threads",
                "Threads that Python knows of.",
                [Query(f"sum by (pod) (marquee_process_threads{{{of}}})", "{{pod}}")],
                width=6,
            ),
            Panel(
                "Garbage collections of the oldest generation",
                "A second; each is a pause.",
                [Query(f"sum by (pod) ({collections})", "{{pod}}")],
                "ops",
                width=6,
            ),
            Panel(
                "Trace spans",
                "A second, by what became of them; empty while tracing is off.",
                [Query(f"sum by (outcome) ({rate('marquee_trace_spans_total', of)})", "{{outcome}}")],
                "ops",
                width=6,
            ),
        ],
    )
