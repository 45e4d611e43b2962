from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from services.runtime.engine import CPU, OnnxModel
from services.runtime.repository.loader import LoadCancelled, LoadedModel, VersionRefused, load_version
from tests.support.dummy_model import edit_golden, edit_manifest, flip_byte, replace_file, truncate, write_model

Damage = Callable[[Path], object]


def _add_labels(folder: Path, content: bytes) -> None:
    edit_manifest(folder, lambda document: document.update(labels="labels.txt"))
    replace_file(folder, "labels.txt", content)


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
    "labels that fit no output": (
        lambda folder: _add_labels(folder, b"tabby\ntiger\n"),
        "labels.txt has 2 names; the outputs have 8 columns",
    ),
    "labels that are no text": (lambda folder: _add_labels(folder, b"\xff\xfe"), "labels.txt is no UTF-8"),
    "a manifest that names another input": (
        lambda folder: edit_manifest(folder, lambda document: document["inputs"][0].update(name="tokens")),
        "declares the inputs attention_mask, tokens; the graph has attention_mask, input_ids",
    ),
}


def _open(path: Path) -> OnnxModel:
    return OnnxModel(path, CPU)


def load(folder: Path) -> LoadedModel:
    return load_version(folder, _open)


def test_a_good_version_is_loaded_checked_and_warm(models: Path) -> None:
    model = load(write_model(models))
    assert model.manifest.name == "dummy-vectors"
    assert model.parity.cases == 1
    assert model.load_seconds > 0
    assert model.labels() == []


def test_labels_are_read_in_order(models: Path) -> None:
    folder = write_model(models, labels="labels.txt")
    names = ["tabby", "Zürich", *"cdefgh"]
    replace_file(folder, "labels.txt", "\n".join(names).encode())
    model = load(folder)
    (folder / "labels.txt").unlink()
    assert model.labels() == names, "a loaded version needs its folder no more"


def test_a_load_is_given_up_between_its_steps(models: Path) -> None:
    def cancelled() -> None:
        raise LoadCancelled

    with pytest.raises(LoadCancelled):
        load_version(write_model(models), _open, cancelled)


def test_the_sample_is_the_first_golden_case(models: Path) -> None:
    sample = load(write_model(models)).sample
    assert sample["input_ids"].tolist() == [[1, 9], [4, 0]]


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_version_is_refused_and_says_why(models: Path, damage: Damage, said: str) -> None:
    folder = write_model(models)
    damage(folder)
    with pytest.raises(VersionRefused) as refused:
        load(folder)
    assert str(refused.value).startswith("dummy-vectors/1: ")
    assert said in str(refused.value)
    assert str(models) not in str(refused.value), "callers see the reason; the paths of this machine are not theirs"
