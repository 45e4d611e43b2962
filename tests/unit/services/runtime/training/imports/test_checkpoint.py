from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from services.runtime.training.imports.checkpoint import read_checkpoint, read_license
from services.runtime.training.imports.refusal import ImportRefused
from tests.support.checkpoints import LLAMA, write_checkpoint, write_json, write_safetensors

Damage = Callable[[Path], object]


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))


def _truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def _shards(folder: Path, second: str, write: bool = True) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    if write:
        write_safetensors(folder / "model-00002-of-00002.safetensors", {"third": [5]})
    places = {"first": "model-00001-of-00002.safetensors", "third": second}
    write_json(folder / "model.safetensors.index.json", {"weight_map": places})


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
    "a configuration that is no JSON": (
        lambda folder: (folder / "config.json").write_text("{"),
        "config.json is no JSON",
    ),
    "code of its own": (
        lambda folder: write_json(folder / "config.json", {**LLAMA, "auto_map": {"AutoModel": "modeling.Mine"}}),
        "brings Python code of its own",
    ),
    "a tokeniser with code of its own": (
        lambda folder: write_json(folder / "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["t.T", None]}}),
        r"auto_map in tokenizer_config.json",
    ),
    "trust in remote code": (
        lambda folder: write_json(folder / "config.json", {**LLAMA, "trust_remote_code": True}),
        "never run here",
    ),
    "no architecture": (
        lambda folder: write_json(folder / "config.json", {"model_type": "llama"}),
        "does not name one architecture",
    ),
    "quantised weights": (
        lambda folder: write_json(folder / "config.json", {**LLAMA, "quantization_config": {"quant_method": "gptq"}}),
        r"quantised already \(gptq\)",
    ),
    "pickled weights": (_pickled, r"not safetensors but pytorch_model.bin; opening that may run code"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "there are no weights"),
    "half a file": (_truncated, r"its header tells of"),
    "something else under the name": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04pickled after all" * 9),
        "is no safetensors file",
    ),
    "tensors of 8 bits": (
        lambda folder: write_safetensors(folder / "model.safetensors", {"first": [4]}, "F8_E4M3"),
        "tensors of type F8_E4M3",
    ),
    "a missing part": (
        lambda folder: _shards(folder, "model-00002-of-00002.safetensors", write=False),
        "model-00002-of-00002.safetensors is missing",
    ),
    "a part outside of the folder": (
        lambda folder: _shards(folder, "../model-00002-of-00002.safetensors"),
        "which is no safetensors file of the folder",
    ),
    "a pickled part": (lambda folder: _shards(folder, "pytorch_model.bin"), "which is no safetensors file"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_broken_or_would_run_code_is_refused(tmp_path: Path, damage: Damage, reason: str) -> None:
    folder = write_checkpoint(tmp_path / "model")
    damage(folder)
    with pytest.raises(ImportRefused, match=reason):
        read_checkpoint(folder, "the folder model")


def test_a_whole_checkpoint_tells_its_architecture_and_size(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path / "model"), "the folder model")
    assert checkpoint.architecture == "LlamaForCausalLM"
    assert checkpoint.parameters == 8 * 4 + 3
    assert checkpoint.license == "not stated"


def test_the_parts_of_a_large_checkpoint_are_counted_together(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    _shards(folder, "model-00002-of-00002.safetensors")
    checkpoint = read_checkpoint(folder, "the folder model")
    assert checkpoint.parameters == 8 * 4 + 3 + 5
    assert len(checkpoint.weight_files) == 2


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"README.md": "---\nlicense: apache-2.0\ntags: [a]\n---\n# Model\n"}, "apache-2.0"),
        ({"README.md": "# Model\n", "LICENSE": "\n   MIT License\n\nCopyright\n"}, "MIT License"),
        ({"README.md": "---\n: [\n---\n", "LICENSE.txt": "The Terms\n"}, "The Terms"),
        ({}, "not stated"),
    ],
)
def test_the_licence_is_what_the_folder_states(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert read_license(tmp_path) == expected


def test_nothing_of_a_pickle_is_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return json.loads, ("it went off",)

    folder = write_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ImportRefused, match="is no safetensors file"):
        read_checkpoint(folder, "the folder model")
