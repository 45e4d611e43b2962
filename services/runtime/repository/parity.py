"""The parity check: a version serves only when this machine reproduces its golden outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy
import numpy.typing

from services.runtime.engine import OnnxModel
from services.runtime.repository.manifest import Golden, Tolerance

Array = numpy.typing.NDArray[numpy.generic]


class ParityFailed(RuntimeError):
    """Golden outputs were not reproduced within the tolerance."""


@dataclass(frozen=True)
class ParityReport:
    """How far the golden outputs differ at most, and how many decisions flipped."""

    cases: int
    max_difference: float
    decision_flips: int


def read_cases(path: Path) -> list[tuple[dict[str, Array], dict[str, Array]]]:
    """Return the (inputs, outputs) of each case stored as `case<N>.input.<name>` and `case<N>.output.<name>`."""
    cases: dict[int, tuple[dict[str, Array], dict[str, Array]]] = {}
    with numpy.load(path, allow_pickle=False) as stored:
        for key in stored.files:
            case, kind, name = key.split(".", 2)
            pair = cases.setdefault(int(case.removeprefix("case")), ({}, {}))
            pair[0 if kind == "input" else 1][name] = stored[key]
    return [cases[number] for number in sorted(cases)]


def check_parity(model: OnnxModel, folder: Path, golden: Golden) -> ParityReport:
    """Run every golden case on `model`.

    Raises:
        ParityFailed: there is no case, no tolerance for the provider, or a difference beyond it.
    """
    tolerance = golden.tolerance.get(model.provider)
    if tolerance is None:
        raise ParityFailed(f"no tolerance is stated for {model.provider}")
    cases = read_cases(folder / golden.file)
    if not cases:
        raise ParityFailed(f"{golden.file} holds no case")
    difference, flips = 0.0, 0
    for inputs, expected in cases:
        if sorted(expected) != sorted(model.output_names):
            raise ParityFailed(
                f"{golden.file} holds the outputs {sorted(expected)}, the graph gives {sorted(model.output_names)}"
            )
        outputs = model.run(inputs)
        for name, value in expected.items():
            difference = max(difference, _largest_difference(outputs[name], value, name))
            flips += _decision_flips(outputs[name], value)
    report = ParityReport(len(cases), difference, flips)
    _require_within(report, tolerance, model.provider)
    return report


def _largest_difference(actual: Array, expected: Array, name: str) -> float:
    if actual.shape != expected.shape:
        raise ParityFailed(f"output {name} has shape {actual.shape}, the golden one {expected.shape}")
    if actual.size == 0:
        return 0.0
    difference = numpy.abs(actual.astype(numpy.float64) - expected.astype(numpy.float64)).max()
    return float(difference) if numpy.isfinite(difference) else float("inf")


def _decision_flips(actual: Array, expected: Array) -> int:
    if expected.ndim != 2 or not numpy.issubdtype(expected.dtype, numpy.floating):
        return 0
    return int(numpy.count_nonzero(actual.argmax(axis=1) != expected.argmax(axis=1)))


def _require_within(report: ParityReport, tolerance: Tolerance, provider: str) -> None:
    if report.max_difference > tolerance.max_difference or report.decision_flips > tolerance.decision_flips:
        raise ParityFailed(
            f"golden outputs differ on {provider}: largest difference {report.max_difference:.2g} "
            f"(limit {tolerance.max_difference:g}), "
            f"{report.decision_flips} decisions flipped (limit {tolerance.decision_flips})"
        )
