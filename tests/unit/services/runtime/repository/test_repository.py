from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.engine import CPU
from services.runtime.errors import NotFound, Unavailable
from services.runtime.repository.repository import ModelRepository, newest_versions
from tests.support.dummy_model import flip_byte, truncate, write_model


def loaded(models: Path) -> ModelRepository:
    repository = ModelRepository(models, CPU)
    repository.load_all()
    return repository


def test_every_model_is_loaded_and_found_by_name(models: Path) -> None:
    write_model(models, "first")
    write_model(models, "second", required=False)
    repository = loaded(models)
    assert repository.missing_required() == []
    assert repository.model("first").manifest.version == "1"
    assert repository.versions["second"].size_bytes > 1_000


def test_the_newest_version_is_the_highest_number(models: Path) -> None:
    for version in ("2", "10", "9", "beta"):
        write_model(models, "first", version)
    assert [folder.name for folder in newest_versions(models)] == ["10"]
    assert loaded(models).model("first").manifest.version == "10"


def test_a_folder_without_a_manifest_is_no_version(models: Path) -> None:
    write_model(models, "first", "1")
    (write_model(models, "first", "2") / "model.yaml").unlink()
    (models / "notes.txt").write_text("not a model")
    assert loaded(models).model("first").manifest.version == "1"


def test_a_refused_model_keeps_its_reason_and_the_others_serve(models: Path) -> None:
    write_model(models, "good")
    flip_byte(write_model(models, "bad") / "model.onnx")
    repository = loaded(models)
    assert repository.model("good").manifest.name == "good"
    assert repository.versions["bad"].model is None
    assert "model.onnx is corrupt" in repository.versions["bad"].reason
    assert repository.versions["bad"].task == "word-vectors"
    assert repository.missing_required() == [repository.versions["bad"].reason]
    with pytest.raises(Unavailable, match="model bad 1 does not serve") as refused:
        repository.model("bad")
    assert refused.value.retry_after_seconds is not None


def test_an_optional_model_that_was_refused_keeps_nobody_waiting(models: Path) -> None:
    write_model(models, "good")
    truncate(write_model(models, "optional", required=False) / "model.onnx")
    repository = loaded(models)
    assert repository.versions["optional"].model is None
    assert repository.missing_required() == []


def test_a_model_whose_manifest_nobody_can_read_counts_as_required(models: Path) -> None:
    write_model(models, "good")
    (write_model(models, "unreadable", required=False) / "model.yaml").write_text("required: [")
    repository = loaded(models)
    assert len(repository.missing_required()) == 1
    assert "unreadable/1: model.yaml is no YAML" in repository.missing_required()[0]


def test_an_empty_repository_serves_nothing_and_says_so(models: Path) -> None:
    assert loaded(models).missing_required() == ["the model repository models holds no model"]
    assert loaded(models / "not there").missing_required() == ["the model repository not there holds no model"]


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(models: Path) -> None:
    write_model(models, "first")
    write_model(models, "second")
    with pytest.raises(NotFound, match="no model 'third'; this service has first, second"):
        loaded(models).model("third")
    with pytest.raises(NotFound) as refused:
        loaded(models).model("x" * 10_000)
    assert len(refused.value.message) < 300
