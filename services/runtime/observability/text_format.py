"""Prometheus' text format, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SAMPLES_A_PIECE = 200


def pieces(families: Iterable[Metric]) -> Iterator[bytes]:
    """Return the page of these families, at most two hundred samples a piece."""
    for family in families:
        suffix = "_total" if family.type == "counter" else ""
        kind = {"unknown": "untyped", "info": "gauge", "stateset": "gauge"}.get(family.type, family.type)
        help_text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
        lines = [f"# HELP {family.name}{suffix} {help_text}\n# TYPE {family.name}{suffix} {kind}\n"]
        for sample in family.samples:
            if sample.name.endswith("_created"):  # of no use to Prometheus' text format, and a third of the page
                continue
            labels = ",".join([f'{name}="{_escaped(value)}"' for name, value in sample.labels.items()])
            lines.append(
                f"{sample.name}{{{labels}}} {_number(sample.value)}\n"
                if labels
                else f"{sample.name} {_number(sample.value)}\n"
            )
            if len(lines) >= _SAMPLES_A_PIECE:
                yield "".join(lines).encode()
                lines.clear()
        yield "".join(lines).encode()


def _number(value: float) -> str:
    # Whole numbers are most of a page, and cheaper to write.
    return str(value) if type(value) is int else str(floatToGoString(value))  # type: ignore[no-untyped-call]


def _escaped(value: str) -> str:
    if value.isalnum():
        return value
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
