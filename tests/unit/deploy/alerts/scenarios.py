"""What happens to a mesh, as Prometheus would see it, and which alert says what of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RELEASE = {"namespace": "media", "release": "shop"}
TEXT = RELEASE | {"component": "text"}
TEXT_POD = TEXT | {"pod": "shop-marquee-text-1"}
MODEL = TEXT | {"model": "minilm", "version": "1"}
RPC = "marquee_rpc_duration_seconds"
RECOMMEND = {"method": "marquee.entertainment.v1.RecommendationService/Recommend"}


def series(name: str, labels: Mapping[str, str], values: str) -> dict[str, str]:
    """Return a series in promtool's notation: "0+60x10" begins at 0 and grows by 60 for ten intervals."""
    return {
        "series": name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}",
        "values": values,
    }


def orchestrator(name: str, labels: Mapping[str, str], values: str) -> dict[str, str]:
    """Return a series of an orchestrator's pod."""
    return series(
        name, RELEASE | {"component": "orchestrator", "pod": "shop-marquee-orchestrator-1"} | dict(labels), values
    )


@dataclass(frozen=True)
class Scenario:
    """What Prometheus scrapes, and when the alert is looked for.

    Attributes:
        alert: name of the alert.
        series: what is scraped.
        at: time since the beginning, in promtool's notation.
        labels: of the alert that must fire, beside its severity; None when none may.
        summary: of that alert.
        interval: time between two scrapes and two evaluations.
    """

    alert: str
    series: Sequence[Mapping[str, str]]
    at: str
    labels: Mapping[str, str] | None = None
    summary: str = ""
    interval: str = "1m"


@dataclass(frozen=True)
class Pair:
    """One alert: the day on which it must wake somebody, and days on which it must let everyone sleep."""

    fires: Scenario
    silent: Sequence[Scenario] = field(default_factory=list)


def _pair(
    alert: str,
    at: str,
    trouble: Sequence[Mapping[str, str]],
    labels: Mapping[str, str],
    summary: str,
    *peace: Sequence[Mapping[str, str]],
    interval: str = "1m",
) -> Pair:
    fires = Scenario(alert, trouble, at, labels, summary, interval)
    return Pair(fires, [Scenario(alert, one, at, interval=interval) for one in peace])


def _calls(failed: str, answered: str) -> list[dict[str, str]]:
    return [
        orchestrator(f"{RPC}_count", RECOMMEND | {"code": "INTERNAL"}, failed),
        orchestrator(f"{RPC}_count", RECOMMEND | {"code": "OK"}, answered),
    ]


def _answers(fast: str, all_of_them: str) -> list[dict[str, str]]:
    return [
        orchestrator(f"{RPC}_bucket", RECOMMEND | {"code": "OK", "le": "0.1"}, fast),
        orchestrator(f"{RPC}_count", RECOMMEND | {"code": "OK"}, all_of_them),
    ]


def _degraded(degraded: str, whole: str) -> list[dict[str, str]]:
    return [
        orchestrator("marquee_answers_total", RECOMMEND | {"outcome": "degraded"}, degraded),
        orchestrator("marquee_answers_total", RECOMMEND | {"outcome": "whole"}, whole),
    ]


def _store(failures: str, operations: str) -> list[dict[str, str]]:
    failed = {"operation": "write_events", "reason": "STORE_UNREACHABLE"}
    return [
        orchestrator("marquee_store_failures_total", failed, failures),
        orchestrator("marquee_store_duration_seconds_count", {"operation": "write_events"}, operations),
    ]


def _bucketed(name: str, labels: Mapping[str, str], slow: bool) -> list[dict[str, str]]:
    """A hundred values a minute, all between 200 and 500 ms or all below 200 ms."""
    growing, flat = "0+100x60", "0x60"
    bounds = {"0.2": flat if slow else growing, "0.5": growing, "+Inf": growing}
    return [series(f"{name}_bucket", dict(labels) | {"le": bound}, values) for bound, values in bounds.items()]


def _refusals(refused: str, answered: str) -> list[dict[str, str]]:
    return [
        series("marquee_model_refusals_total", MODEL | {"pod": "p", "reason": "QUEUE_FULL"}, refused),
        series("marquee_model_requests_total", MODEL | {"pod": "p"}, answered),
    ]


def _memory(bytes_used: str, limit: str) -> list[dict[str, str]]:
    of_cluster = {"namespace": "media", "pod": TEXT_POD["pod"], "container": "text", "resource": "memory"}
    return [
        series("process_resident_memory_bytes", TEXT_POD, bytes_used),
        series("kube_pod_container_resource_limits", of_cluster, limit),
        series("kube_pod_container_resource_limits", of_cluster | {"container": "istio-proxy"}, "1x60"),
    ]


def _volume(available: str, claim: str) -> list[dict[str, str]]:
    of = {"namespace": "media", "persistentvolumeclaim": claim}
    return [
        series("kubelet_volume_stats_available_bytes", of, available),
        series("kubelet_volume_stats_capacity_bytes", of, "1000x60"),
    ]


def _serving(values: str) -> list[dict[str, str]]:
    return [series("marquee_build_info", TEXT_POD, "1x60 _x60"), series("marquee_serving", TEXT_POD, values)]


def _waiting(reason: str, pod: str) -> list[dict[str, str]]:
    of = {"namespace": "media", "pod": pod, "container": "text", "reason": reason}
    return [series("kube_pod_container_status_waiting_reason", of, "1x60")]


_STORE_LABELS = RELEASE | {"operation": "write_events"}
_METHOD = TEXT | {"method": "marquee.text.v1.TextService/EmbedText"}

PAIRS = [
    _pair(
        "MarqueeCallsFail",
        "65m",
        _calls("0+2x65", "0+98x65"),
        RELEASE,
        "2% of the calls of shop in media fail",
        _calls("0+1x65", "0+99x65"),
        # A burst of five minutes is too little of the month to wake somebody.
        _calls("0x59 0+10x6", "0+100x65"),
    ),
    _pair(
        "MarqueeCallsFailForHours",
        "390m",
        _calls("0+7x78", "0+993x78"),
        RELEASE,
        "0.7% of the calls of shop in media fail, for hours",
        _calls("0+5x78", "0+995x78"),
        interval="5m",
    ),
    _pair(
        "MarqueeAnswersSlow",
        "65m",
        _answers("0+80x65", "0+100x65"),
        RELEASE,
        "20% of the recommendations and searches of shop in media take more than 100 ms",
        _answers("0+90x65", "0+100x65"),
        [],
    ),
    _pair(
        "MarqueeAnswersSlowForHours",
        "390m",
        _answers("0+93x78", "0+100x78"),
        RELEASE,
        "7% of the recommendations and searches of shop in media take more than 100 ms, for hours",
        _answers("0+95x78", "0+100x78"),
        interval="5m",
    ),
    _pair(
        "MarqueeAnswersDegraded",
        "20m",
        _degraded("0+10x20", "0+90x20"),
        RELEASE,
        "10% of the answers of shop in media are degraded",
        _degraded("0+1x20", "0+99x20"),
        _degraded("0x17 0+50x3", "0+50x20"),
    ),
    _pair(
        "MarqueeStoreFails",
        "15m",
        _store("0+50x15", "0+100x15"),
        RELEASE | {"reason": "STORE_UNREACHABLE"},
        "50% of the store's operations of shop in media fail: STORE_UNREACHABLE",
        _store("0+1x15", "0+200x15"),
    ),
    _pair(
        "MarqueeStoreSlow",
        "40m",
        _bucketed("marquee_store_duration_seconds", _STORE_LABELS, slow=True),
        _STORE_LABELS,
        "write_events of the store of shop in media takes 497ms (p99)",
        _bucketed("marquee_store_duration_seconds", _STORE_LABELS, slow=False),
        # Housekeeping may take its time.
        _bucketed("marquee_store_duration_seconds", _STORE_LABELS | {"operation": "maintain"}, slow=True),
    ),
    _pair(
        "MarqueeEventsStopped",
        "25h",
        [orchestrator("marquee_events_total", {"outcome": "written"}, "0+300x286 85800x20")],
        RELEASE,
        "no events arrive at shop in media",
        [orchestrator("marquee_events_total", {"outcome": "written"}, "0+300x306")],
        # Whoever never sends events misses none.
        [orchestrator("marquee_events_total", {"outcome": "written"}, "0x306")],
        interval="5m",
    ),
    _pair(
        "MarqueeBundleMissing",
        "15m",
        [orchestrator("marquee_bundles", {"service": "vision", "state": "missing"}, "1x15")],
        RELEASE | {"service": "vision"},
        "the vision service of shop in media lacks 1 of the bundles that should serve",
        [orchestrator("marquee_bundles", {"service": "vision", "state": "loaded"}, "1x15")],
        [orchestrator("marquee_bundles", {"service": "vision", "state": "missing"}, "1x5 0x10")],
    ),
    _pair(
        "MarqueeBundleOld",
        "362h",
        [orchestrator("marquee_bundle_create_time_seconds", {}, "0x365")],
        RELEASE,
        "the oldest bundle of shop in media was fitted 15d 2h 0m 0s ago",
        [orchestrator("marquee_bundle_create_time_seconds", {}, "432000x365")],
        interval="1h",
    ),
    _pair(
        "MarqueeServiceGone",
        "70m",
        _serving("1x60 _x60"),
        TEXT,
        "no pod of the text service of shop in media serves",
        _serving("1x120"),
        # Another pod serves in the place of the one that is gone.
        [*_serving("1x60 _x60"), series("marquee_serving", TEXT | {"pod": "shop-marquee-text-2"}, "1x120")],
    ),
    _pair(
        "MarqueeNotServing",
        "10m",
        [series("marquee_serving", TEXT_POD, "0x10")],
        TEXT_POD,
        "shop-marquee-text-1 in media does not serve",
        [series("marquee_serving", TEXT_POD, "1x10")],
        # A start that takes three minutes.
        [series("marquee_serving", TEXT_POD, "0x3 1x7")],
    ),
    _pair(
        "MarqueeNotScraped",
        "10m",
        [series("up", TEXT_POD, "0x10")],
        TEXT_POD,
        "shop-marquee-text-1 in media cannot be scraped",
        [series("up", TEXT_POD, "1x10")],
        # Somebody else's.
        [series("up", {"job": "node"}, "0x10")],
    ),
    _pair(
        "MarqueeMethodFails",
        "25m",
        [series(f"{RPC}_count", _METHOD | {"code": code}, "0+10x25") for code in ("OK", "INTERNAL")],
        _METHOD,
        "50% of the calls of marquee.text.v1.TextService/EmbedText fail",
        # The callers' own mistakes.
        [series(f"{RPC}_count", _METHOD | {"code": code}, "0+10x25") for code in ("OK", "INVALID_ARGUMENT")],
    ),
    _pair(
        "MarqueeRefusing",
        "15m",
        _refusals("0+10x15", "0+90x15"),
        TEXT | {"model": "minilm", "reason": "QUEUE_FULL"},
        "10% of the requests for minilm are refused: QUEUE_FULL",
        _refusals("0x15", "0+90x15"),
        _refusals("0+1x15", "0+200x15"),
    ),
    _pair(
        "MarqueeQueueWaitHigh",
        "20m",
        _bucketed("marquee_model_queue_duration_seconds", MODEL, slow=True),
        TEXT | {"model": "minilm"},
        "requests for minilm wait 497ms for an engine (p99)",
        _bucketed("marquee_model_queue_duration_seconds", MODEL, slow=False),
    ),
    _pair(
        "MarqueeEngineHung",
        "5m",
        [series("marquee_engine_longest_run_seconds", TEXT_POD, "0+60x5")],
        TEXT_POD,
        "a model run of shop-marquee-text-1 in media takes 5m 0s so far",
        [series("marquee_engine_longest_run_seconds", TEXT_POD, "0 0.1 12 0 3 29")],
    ),
    _pair(
        "MarqueeModelFailed",
        "5m",
        [series("marquee_model_state", MODEL | {"pod": "p", "state": "FAILED"}, "1x5")],
        MODEL,
        "minilm/1 was refused by the text service of shop in media",
        [
            series("marquee_model_state", MODEL | {"pod": "p", "state": "FAILED"}, "0x5"),
            series("marquee_model_state", MODEL | {"pod": "p", "state": "READY"}, "1x5"),
        ],
    ),
    _pair(
        "MarqueeModelRunsFail",
        "10m",
        [series("marquee_model_run_failures_total", MODEL | {"pod": "p"}, "0+1x10")],
        MODEL,
        "10 runs of minilm/1 raised an error",
        [series("marquee_model_run_failures_total", MODEL | {"pod": "p"}, "7x10")],
    ),
    _pair(
        "MarqueeMemoryGrows",
        "450m",
        [series("process_resident_memory_bytes", TEXT_POD, "100+5x90")],
        TEXT_POD,
        "the memory of shop-marquee-text-1 in media will double within a day",
        [series("process_resident_memory_bytes", TEXT_POD, "100x90")],
        [series("process_resident_memory_bytes", {"job": "another"}, "100+5x90")],
        interval="5m",
    ),
    _pair(
        "MarqueeFilesRunOut",
        "15m",
        [series("process_open_fds", TEXT_POD, "900x15"), series("process_max_fds", TEXT_POD, "1000x15")],
        TEXT_POD,
        "shop-marquee-text-1 in media has used 90% of its file descriptors",
        [series("process_open_fds", TEXT_POD, "90x15"), series("process_max_fds", TEXT_POD, "1000x15")],
    ),
    _pair(
        "MarqueeCertificateExpires",
        "20m",
        [
            series(
                "marquee_certificate_expiry_time_seconds", TEXT_POD | {"setting": "tls_certificate_file"}, "600000x20"
            )
        ],
        TEXT,
        "a certificate of the text service of shop in media expires in 6d 22h 20m 0s",
        [
            series(
                "marquee_certificate_expiry_time_seconds", TEXT_POD | {"setting": "tls_certificate_file"}, "700000x20"
            )
        ],
        [],
    ),
    _pair(
        "MarqueePodCrashLoops",
        "5m",
        _waiting("CrashLoopBackOff", "shop-marquee-text-1"),
        {"namespace": "media", "pod": "shop-marquee-text-1", "container": "text"},
        "shop-marquee-text-1 in media ends again and again",
        _waiting("ContainerCreating", "shop-marquee-text-1"),
        # Another application's container of the same name.
        _waiting("CrashLoopBackOff", "editor-1"),
    ),
    _pair(
        "MarqueeMemoryNearLimit",
        "15m",
        _memory("950x15", "1000x15"),
        {"namespace": "media", "pod": "shop-marquee-text-1", "component": "text"},
        "shop-marquee-text-1 in media uses 95% of its memory limit",
        _memory("800x15", "1000x15"),
    ),
    _pair(
        "MarqueeTrainingFailed",
        "5m",
        [series("kube_job_status_failed", {"namespace": "media", "job_name": "shop-marquee-train-1"}, "0 1x5")],
        {"namespace": "media", "job_name": "shop-marquee-train-1"},
        "the training shop-marquee-train-1 in media failed",
        [series("kube_job_status_failed", {"namespace": "media", "job_name": "shop-marquee-train-1"}, "0x5")],
        [series("kube_job_status_failed", {"namespace": "media", "job_name": "night-train-1"}, "1x5")],
    ),
    _pair(
        "MarqueeVolumeFills",
        "15m",
        _volume("50x15", "shop-marquee-store"),
        {"namespace": "media", "persistentvolumeclaim": "shop-marquee-store"},
        "shop-marquee-store in media has 5% left",
        _volume("500x15", "shop-marquee-store"),
        _volume("50x15", "somebody-elses"),
    ),
]
