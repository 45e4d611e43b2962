from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from services.runtime.engine import CPU
from services.runtime.repository.loader import VersionRefused, load_version
from tests.support.dummy_model import edit_golden, edit_manifest, flip_byte, replace_file, truncate, write_model

Damage = Callable[[Path], object]

DAMAGES: dict[str, tuple[Damage, str]] = {
    "a flipped bit in the graph": (lambda folder: flip_byte(folder / "model.onnx"), "model.onnx is corrupt: SHA-256"),
    "a truncated graph": (lambda folder: truncate(folder / "model.onnx"), "model.onnx is corrupt"),
    "a missing graph": (lambda folder: (folder / "model.onnx").unlink(), "file model.onnx is missing"),
    "a flipped bit in the tokenizer": (
        lambda folder: flip_byte(folder / "tokenizer.json"),
        "tokenizer.json is corrupt",
    ),
    "a missing golden file": (lambda folder: (folder / "golden.npz").unlink(), "file golden.npz is missing"),
    "an empty graph with its checksum": (
        lambda folder: replace_file(folder, "model.onnx", b""),
        "the model cannot be opened; the service's log says why",
    ),
    "a graph that is no graph, with its checksum": (
        lambda folder: replace_file(folder, "model.onnx", b"\x00garbage" * 100),
        "the model cannot be opened",
    ),
    "a golden file that is no archive, with its checksum": (
        lambda folder: replace_file(folder, "golden.npz", b"PK\x03\x04garbage"),
        "the model cannot be opened",
    ),
    "bad YAML": (lambda folder: (folder / "model.yaml").write_text("name: ["), "model.yaml is no YAML"),
    "an unknown key": (
        lambda folder: edit_manifest(folder, lambda document: document.update(licence="MIT")),
        "licence: Extra inputs are not permitted",
    ),
    "another folder's manifest": (
        lambda folder: edit_manifest(folder, lambda document: document.update(name="other")),
        "says other/1 but lies in dummy-vectors/1",
    ),
    "outputs that this machine does not reproduce": (
        lambda folder: edit_golden(folder, lambda key, value: value + numpy.float32(1) if "output" in key else value),
        "golden outputs differ on CPUExecutionProvider",
    ),
    "no tolerance for the provider": (
        lambda folder: edit_manifest(folder, lambda document: document["golden"]["tolerance"].clear()),
        "no tolerance is stated for CPUExecutionProvider",
    ),
    "a graph nobody vouches for": (
        lambda folder: edit_manifest(folder, lambda document: document["files"].pop("model.onnx")),
        "states no SHA-256 of model.onnx",
    ),
    "golden outputs nobody vouches for": (
        lambda folder: edit_manifest(folder, lambda document: document["files"].pop("golden.npz")),
        "states no SHA-256 of golden.npz",
    ),
    "labels nobody vouches for": (
        lambda folder: edit_manifest(folder, lambda document: document.update(labels="labels.txt")),
        "states no SHA-256 of labels.txt",
    ),
}


def test_a_good_version_is_loaded_checked_and_warm(models: Path) -> None:
    model = load_version(write_model(models), CPU)
    assert model.manifest.name == "dummy-vectors"
    assert model.parity.cases == 1
    assert model.load_seconds > 0
    assert model.labels() == []


def test_labels_are_read_in_order(models: Path) -> None:
    folder = write_model(models, labels="labels.txt")
    replace_file(folder, "labels.txt", "tabby\nZürich\n".encode())
    assert load_version(folder, CPU).labels() == ["tabby", "Zürich"]


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_version_is_refused_and_says_why(models: Path, damage: Damage, said: str) -> None:
    folder = write_model(models)
    damage(folder)
    with pytest.raises(VersionRefused) as refused:
        load_version(folder, CPU)
    assert str(refused.value).startswith("dummy-vectors/1: ")
    assert said in str(refused.value)
    assert str(models) not in str(refused.value), "callers see the reason; the paths of this machine are not theirs"
