"""Whole or not at all, with an importer that makes a model of a few kilobytes."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy
import pytest

from services.runtime.repository.folders import read_catalogue
from services.runtime.training.imports.checkpoint import Checkpoint, read_checkpoint
from services.runtime.training.imports.importer import ImportedVersion, Importer, Wish, choose
from services.runtime.training.imports.publishing import (
    check_name,
    check_removable,
    check_room,
    import_checkpoint,
    needed_bytes,
)
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.steps import Steps
from tests.support.checkpoints import write_checkpoint
from tests.support.dummy_model import DIMENSIONS, MAX_TOKENS, tokenizer_file, word_mean_graph, write_model
from tests.support.repositories import load_on_cpu

SOURCE = "the folder model"
WISH = Wish("mine", "1", "vectors", "float32")
Convert = Callable[[Checkpoint, Wish, Path, Steps], ImportedVersion]


def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
    manifest = {
        "name": wish.name,
        "version": wish.version,
        "task": "sentence-vectors",
        "description": "For tests.",
        "license": checkpoint.license,
        "source": checkpoint.source,
        "required": False,
        "inputs": [{"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in ("input_ids", "attention_mask")],
        "outputs": [{"name": "vectors", "datatype": "FP32", "shape": [-1, DIMENSIONS]}],
        "limits": {"max_tokens": MAX_TOKENS},
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001}}},
    }
    case = {"input_ids": numpy.array([[1, 2]]), "attention_mask": numpy.array([[1, 1]])}
    files = {"tokenizer.json": tokenizer_file()}
    return ImportedVersion(manifest, word_mean_graph().SerializeToString(), files, [case], "# Mine\n", "like it")


def importer(convert: Convert = convert) -> Importer:
    return Importer("LlamaForCausalLM", "text", ("vectors", "generation"), lambda checkpoint, task: None, convert)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return read_checkpoint(write_checkpoint(tmp_path / "model"), SOURCE)


def test_an_import_becomes_a_version_that_loads(models: Path, checkpoint: Checkpoint) -> None:
    folder, version = import_checkpoint(checkpoint, importer(), WISH, models)
    assert folder == models / "mine" / "1"
    assert load_on_cpu(folder).manifest.source == SOURCE
    assert version.summary == "like it"
    assert [path.name for path in models.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "failure", [ImportRefused("too far from the original"), OSError(errno.ENOSPC, "full"), KeyboardInterrupt()]
)
def test_nothing_is_left_of_an_import_that_fails(models: Path, checkpoint: Checkpoint, failure: BaseException) -> None:
    def fail(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
        (folder / "model.onnx.data").write_bytes(b"half")
        raise failure

    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else ImportRefused
    with pytest.raises(expected, match=r"too far|disk of the repository is full|^$"):
        import_checkpoint(checkpoint, importer(fail), WISH, models)
    assert list(models.iterdir()) == []


def test_a_service_never_sees_a_version_in_the_making(models: Path, checkpoint: Checkpoint) -> None:
    def look(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
        (folder / "model.yaml").write_text("name: mine\n")
        assert not read_catalogue(models)
        return convert(checkpoint, wish, folder, steps)

    import_checkpoint(checkpoint, importer(look), WISH, models)
    assert list(read_catalogue(models)) == ["mine"]


@pytest.mark.parametrize("name", ["", "Mine", "my_model", "-a", "a--b", "../a", "a/b", "ü", "a" * 65])
def test_a_name_that_no_model_can_have_is_refused(models: Path, name: str) -> None:
    with pytest.raises(ImportRefused, match="is no name for a model"):
        check_name(models, name, None)


@pytest.mark.parametrize("version", ["", "../1", ".hidden", "a b", "v" * 65])
def test_a_version_that_none_can_be_is_refused(models: Path, version: str) -> None:
    with pytest.raises(ImportRefused, match="is no version"):
        check_name(models, "mine", version)


def test_a_taken_name_is_refused_and_the_next_version_named(models: Path) -> None:
    write_model(models, "mine", "1")
    write_model(models, "mine", "4")
    with pytest.raises(ImportRefused, match="has a model mine already") as refused:
        check_name(models, "mine", None)
    assert "--version 5" in refused.value.advice
    with pytest.raises(ImportRefused, match="has mine/4 already"):
        check_name(models, "mine", "4")
    assert check_name(models, "mine", "5") == "5"
    assert check_name(models, "other", None) == "1"


def test_a_disk_without_room_is_noticed_before_the_work(
    models: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    needed = needed_bytes(checkpoint, "float32")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed - 1))
    with pytest.raises(ImportRefused, match="GB free"):
        import_checkpoint(checkpoint, importer(), WISH, models)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 0, needed))
    check_room(models / "not" / "there", needed)


def test_fewer_bits_need_less_room(checkpoint: Checkpoint) -> None:
    needed = [needed_bytes(checkpoint, precision) for precision in ("float32", "float16", "int8")]
    assert needed == sorted(needed, reverse=True)
    assert len(set(needed)) == 3


def test_only_what_was_imported_is_removed(models: Path, checkpoint: Checkpoint) -> None:
    folder, _ = import_checkpoint(checkpoint, importer(), WISH, models)
    write_model(models, "ours")
    assert check_removable(models, "mine", ["1"]) == [folder]
    with pytest.raises(ImportRefused, match="is part of Marquee"):
        check_removable(models, "ours", ["1"])
    with pytest.raises(ImportRefused, match="has no mine/2"):
        check_removable(models, "mine", ["2"])
    with pytest.raises(ImportRefused, match="has no model"):
        check_removable(models, "../mine", ["1"])


def test_who_imports_an_architecture_and_what_for() -> None:
    chosen, task = choose([importer()], "LlamaForCausalLM", None)
    assert (chosen.architecture, task) == ("LlamaForCausalLM", "vectors")
    assert choose([importer()], "LlamaForCausalLM", "generation")[1] == "generation"
    with pytest.raises(ImportRefused, match="T5ForConditionalGeneration cannot be imported") as refused:
        choose([importer()], "T5ForConditionalGeneration", None)
    assert "LlamaForCausalLM" in refused.value.advice
    with pytest.raises(ImportRefused, match="cannot be imported for labels, only for: vectors, generation"):
        choose([importer()], "LlamaForCausalLM", "labels")
