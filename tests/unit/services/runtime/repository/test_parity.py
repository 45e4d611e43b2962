from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from services.runtime.engine import CPU, OnnxModel
from services.runtime.repository.manifest import read_manifest
from services.runtime.repository.parity import ParityFailed, check_parity, read_cases
from tests.support.dummy_model import edit_golden, edit_manifest, write_model


def check(folder: Path) -> tuple[int, float, int]:
    report = check_parity(OnnxModel(folder / "model.onnx", CPU), folder, read_manifest(folder).golden)
    return report.cases, report.max_difference, report.decision_flips


def test_a_faithful_machine_passes(models: Path) -> None:
    assert check(write_model(models)) == (1, 0.0, 0)


def test_a_difference_within_the_tolerance_is_reported(models: Path) -> None:
    cases, difference, flips = check(write_model(models, output_shift=0.0005))
    assert (cases, flips) == (1, 0)
    assert difference == pytest.approx(0.0005, abs=1e-6)


def test_a_difference_beyond_the_tolerance_fails(models: Path) -> None:
    folder = write_model(models, output_shift=0.002)
    with pytest.raises(ParityFailed, match=r"largest difference 0\.002 \(limit 0\.001\), 0 decisions flipped"):
        check(folder)


def test_a_flipped_decision_fails_within_a_generous_difference(models: Path) -> None:
    folder = write_model(models)
    edit_manifest(
        folder, lambda document: document["golden"]["tolerance"]["CPUExecutionProvider"].update(max_difference=9)
    )
    edit_golden(folder, lambda key, value: -value if ".output." in key else value)
    with pytest.raises(ParityFailed, match=r"2 decisions flipped \(limit 0\)"):
        check(folder)


def test_a_provider_without_a_tolerance_fails(models: Path) -> None:
    folder = write_model(models, golden={"tolerance": {"CUDAExecutionProvider": {"max_difference": 1}}})
    with pytest.raises(ParityFailed, match="no tolerance is stated for CPUExecutionProvider"):
        check(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda key, value: None, "holds no case"),
        (lambda key, value: value if ".input." in key else None, r"holds the outputs \[\], the graph gives"),
        (lambda key, value: value[:1] if ".output." in key else value, "has shape"),
        (lambda key, value: value * numpy.nan if ".output." in key else value, "largest difference inf"),
    ],
)
def test_golden_files_that_prove_nothing_fail(models: Path, change: Callable[[str, Any], Any], said: str) -> None:
    folder = write_model(models)
    edit_golden(folder, change)
    with pytest.raises(ParityFailed, match=said):
        check(folder)


def test_cases_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    arrays = {}
    for number in (10, 2, 0):
        arrays[f"case{number}.input.x"] = numpy.array([number])
        arrays[f"case{number}.output.scores.raw"] = numpy.array([-number])
    numpy.savez(tmp_path / "golden.npz", allow_pickle=False, **arrays)
    cases = read_cases(tmp_path / "golden.npz")
    assert [inputs["x"][0] for inputs, _ in cases] == [0, 2, 10]
    assert [outputs["scores.raw"][0] for _, outputs in cases] == [0, -2, -10]
