from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.runtime.pipeline import Place, Placement
from services.runtime.repository.manifest import ManifestInvalid, read_manifest
from tests.support.dummy_model import edit_manifest, write_model

Change = Callable[[dict[str, Any]], object]


def test_everything_is_read(models: Path) -> None:
    folder = write_model(models, placement={"prepare": "thread", "run": "inline", "finish": "inline"})
    manifest = read_manifest(folder)
    assert (manifest.name, manifest.version, manifest.task) == ("dummy-vectors", "1", "word-vectors")
    assert manifest.required
    assert manifest.inputs[0].name == "input_ids"
    assert manifest.outputs[0].shape == [-1, 8]
    assert manifest.batching.max_batch == 4
    assert manifest.limits == {"max_tokens": 16}
    assert manifest.placement.placement() == Placement(Place.THREAD, Place.INLINE, Place.INLINE)
    assert manifest.golden.tolerance["CPUExecutionProvider"].max_difference == 0.001
    assert set(manifest.files) == {"model.onnx", "tokenizer.json", "golden.npz"}


def test_what_may_be_left_out_has_a_safe_default(models: Path) -> None:
    folder = write_model(models)
    edit_manifest(folder, lambda document: [document.pop(name) for name in ("batching", "placement", "required")])
    manifest = read_manifest(folder)
    assert manifest.required
    assert manifest.batching.max_batch == 1
    assert manifest.placement.placement() == Placement(Place.INLINE, Place.ENGINE, Place.INLINE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.update(licence="MIT"), "licence: Extra inputs are not permitted"),
        (lambda document: document["batching"].update(size=3), "batching.size: Extra inputs"),
        (lambda document: document.pop("license"), "license: Field required"),
        (lambda document: document["golden"].pop("tolerance"), "golden.tolerance: Field required"),
        (lambda document: document["inputs"][0].update(datatype="FLOAT"), "inputs.0.datatype"),
        (lambda document: document["batching"].update(max_batch=0), "batching.max_batch"),
        (lambda document: document["placement"].update(run="gpu"), "placement.run"),
        (lambda document: document.update(name="Dummy Vectors"), "name: String should match pattern"),
        (lambda document: document.update(version="2"), "says dummy-vectors/2 but lies in dummy-vectors/1"),
        (lambda document: document.update(name="other"), "says other/1 but lies in dummy-vectors/1"),
    ],
)
def test_mistakes_are_named(models: Path, change: Change, said: str) -> None:
    folder = write_model(models)
    edit_manifest(folder, change)
    with pytest.raises(ManifestInvalid) as refused:
        read_manifest(folder)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: [unclosed", "is no YAML"),
        (b"- a\n- list\n", "document: Input should be"),
        (b"", "document: Input should be"),
        (b"!!python/object/apply:os.system ['true']", "is no YAML"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(models: Path, content: bytes, said: str) -> None:
    folder = write_model(models)
    (folder / "model.yaml").write_bytes(content)
    with pytest.raises(ManifestInvalid, match=said):
        read_manifest(folder)


def test_a_missing_manifest_is_refused_without_naming_the_machine(models: Path) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        read_manifest(models / "nothing" / "1")
    assert str(refused.value) == "model.yaml cannot be read: No such file or directory"
