"""Reads PromQL as far as tests need: which metrics and labels an expression names, and whether there are such."""

from __future__ import annotations

import re

from services.runtime.observability.metric_catalogue import CATALOGUE, Kind

SCRAPE_LABELS = frozenset({"namespace", "release", "component", "pod", "job", "instance"})
"""Labels that Prometheus adds when it scrapes."""
CLUSTER_METRICS = {
    "up": SCRAPE_LABELS,
    "kube_pod_container_status_waiting_reason": {"namespace", "pod", "container", "reason"},
    "kube_pod_container_resource_limits": {"namespace", "pod", "container", "resource"},
    "kube_job_status_failed": {"namespace", "job_name"},
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
}
"""Series of Prometheus itself, of kube-state-metrics and of the kubelet that the alerts use."""

_PARTS = ("_bucket", "_count", "_sum")
_STRING = re.compile(r'"[^"]*"')
_METRIC = re.compile(r"\b(?:(?:marquee|process|python|kube|kubelet)_[a-z0-9_]+|up)\b(?!\s*:)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")


def known() -> dict[str, set[str]]:
    """Return every series that a scrape may have, with its labels."""
    found: dict[str, set[str]] = {name: set(labels) for name, labels in CLUSTER_METRICS.items()}
    for family in CATALOGUE:
        labels = {*family.labels, *SCRAPE_LABELS}
        if family.kind is Kind.HISTOGRAM:
            found |= {family.name + part: labels | ({"le"} if part == "_bucket" else set()) for part in _PARTS}
        else:
            found[family.name] = labels
    return found


def metrics_of(expression: str) -> set[str]:
    """Return the names of the series that an expression reads."""
    return set(_METRIC.findall(re.sub(r"\{[^}]*\}", "", _STRING.sub('""', _GROUPING.sub("", expression)))))


def unknown_names(expression: str, *further: str) -> list[str]:
    """Return what an expression names and no scrape has: metrics, labels in selectors, labels to group by.

    Args:
        expression: PromQL.
        further: labels that the expression makes itself.
    """
    series, bare = known(), _STRING.sub('""', expression)
    used = metrics_of(expression)
    wrong = sorted(used - series.keys())
    for name, selector in _SELECTOR.findall(bare):
        if name in series:
            wrong += [f"{name}: {label}" for label in _MATCHER.findall(selector) if label not in series[name]]
    available = set().union(*(series.get(name, set()) for name in used), further)
    for grouping in _GROUPING.findall(bare):
        wrong += [
            f"by {label}" for label in filter(None, map(str.strip, grouping.split(","))) if label not in available
        ]
    return wrong if used or ":" in bare else ["no metric at all"]
