from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

from services.runtime.engine import CPU
from services.runtime.training.publish import PublishError, publish_version
from tests.support.dummy_model import tokenizer_file, word_mean_graph
from tests.support.repositories import load_on_cpu

MANIFEST: dict[str, Any] = {
    "name": "dummy",
    "version": "1",
    "task": "word-vectors",
    "description": "For tests.",
    "license": "Apache-2.0",
    "source": "the tests",
    "inputs": [
        {"name": "input_ids", "datatype": "INT64", "shape": [-1, -1]},
        {"name": "attention_mask", "datatype": "INT64", "shape": [-1, -1]},
    ],
    "outputs": [{"name": "vectors", "datatype": "FP32", "shape": [-1, 8]}],
    "golden": {"tolerance": {CPU: {"max_difference": 1e-5}}},
}
CASE = {"input_ids": numpy.array([[1, 2]]), "attention_mask": numpy.array([[1, 1]])}


def publish(models: Path, **changes: Any) -> Path:
    arguments: dict[str, Any] = {
        "folder": models / "dummy" / "1",
        "manifest": MANIFEST,
        "model": word_mean_graph(),
        "extra_files": {"tokenizer.json": tokenizer_file()},
        "golden_cases": [CASE, CASE],
        "card": "# Dummy\n",
        **changes,
    }
    return publish_version(**arguments)


def test_what_is_published_loads(models: Path) -> None:
    path = publish(models)
    assert path == models / "dummy" / "1" / "model.yaml"
    model = load_on_cpu(path.parent)
    assert model.parity.cases == 2
    assert set(model.manifest.files) == {"model.onnx", "tokenizer.json", "golden.npz"}
    assert (path.parent / "card.md").read_text() == "# Dummy\n"


def test_publishing_twice_gives_the_same_bytes(models: Path) -> None:
    folder = publish(models).parent
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    publish(models)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_files_of_an_earlier_build_are_removed(models: Path) -> None:
    folder = publish(models, extra_files={"labels.txt": b"a\n"}).parent
    publish(models)
    assert not (folder / "labels.txt").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"manifest": {**MANIFEST, "name": "other"}}, "is not the folder of other version 1"),
        ({"extra_files": {"card.md": b""}}, "reserved names"),
        ({"golden_cases": []}, "at least one golden case"),
        ({"manifest": {**MANIFEST, "inputs": MANIFEST["inputs"][:1]}}, "the manifest declares the inputs"),
        ({"manifest": {**MANIFEST, "outputs": []}}, "the manifest declares the outputs"),
        ({"extra_files": {"big.bin": bytes(36 << 20)}}, "big.bin has 37748736 bytes"),
    ],
)
def test_what_could_not_be_served_is_not_published(models: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PublishError, match=said):
        publish(models, **changes)
    assert not (models / "dummy" / "1" / "model.yaml").exists()
