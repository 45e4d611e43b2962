"""`marquee models`: refusals that need no torch, and the commands against a real text service."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from services.cli.model_adding import name_of
from services.cli.ports import free_ports
from services.runtime.server import ServiceDefinition, ServiceServer
from services.runtime.settings import ServiceSettings
from services.text.main import build
from services.text.settings import TextSettings
from services.vision.main import build as build_vision
from services.vision.settings import VisionSettings
from tests.support.checkpoints import LLAMA, write_checkpoint, write_json
from tests.support.classification_model import write_classification_model
from tests.support.dummy_detector import NAME as BOXES
from tests.support.dummy_detector import write_detector
from tests.support.dummy_image_model import NAME as COLOURS
from tests.support.dummy_image_model import write_image_model
from tests.support.dummy_model import NAME, edit_manifest, write_model
from tests.support.strange_pictures import encoded, plain
from tests.unit.services.cli.conftest import Run

without_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is here")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service runs."""
    for name, port in zip(("TEXT", "VISION", "CLASSICAL"), free_ports("127.0.0.1", 3), strict=True):
        monkeypatch.setenv(f"MARQUEE_{name}_TARGET", f"127.0.0.1:{port}")


@pytest.fixture
def text_service(models: Path, tmp_path: Path, nobody: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A text service with models of a few kilobytes, one of them imported; gives its repository."""
    write_model(models)
    write_classification_model(models, "moods")
    edit_manifest(models / "moods" / "1", lambda document: document.update(source="the folder moods"))
    settings = TextSettings(
        port=0, model_repository=models, bundle_repository=tmp_path, default_model=NAME, drain_seconds=0
    )
    with in_a_thread(build(settings), settings) as port:
        monkeypatch.setenv("MARQUEE_TEXT_TARGET", f"127.0.0.1:{port}")
        yield models


@pytest.fixture
def vision_service(models: Path, tmp_path: Path, nobody: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A vision service with two models of a few kilobytes, one of them imported; gives its repository."""
    write_image_model(models)
    write_detector(models, source="the folder boxes")
    settings = VisionSettings(
        port=0, model_repository=models, bundle_repository=tmp_path, default_model=COLOURS, drain_seconds=0
    )
    monkeypatch.setenv("MARQUEE_VISION_MODEL_REPOSITORY", str(models))
    with in_a_thread(build_vision(settings), settings) as port:
        monkeypatch.setenv("MARQUEE_VISION_TARGET", f"127.0.0.1:{port}")
        yield models


@contextmanager
def in_a_thread(definition: ServiceDefinition, settings: ServiceSettings) -> Iterator[int]:
    """Run a service on an event loop of its own; gives its port."""
    started, stopping = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        server = ServiceServer(definition, settings)
        await server.start()
        ports.append(server.port)
        started.set()
        await asyncio.to_thread(stopping.wait)
        await server.stop()

    # What the server logs must not mix with what the command prints.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(20)
    try:
        yield ports[0]
    finally:
        stopping.set()
        thread.join()
        structlog.reset_defaults()


def test_the_help_teaches(run: Run) -> None:
    shown = run("models", "add", "--help").output
    for word in ("hf:./tiny-llama", "Llama-", "DistilBERT-type", "safetensors only", "--precision", "never run"):
        assert word in " ".join(shown.split())


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("my-model", "does not say where the model comes from"),
        ("hf:", "does not say where the model comes from"),
        ("hf:./nowhere", "there is no folder ./nowhere"),
        ("hf:a/b/c", "there is no folder a/b/c"),
    ],
)
def test_a_source_that_is_none(run: Run, models: Path, reference: str, reason: str) -> None:
    result = run("models", "add", reference, "--repository", str(models), "--yes")
    assert result.exit_code == 1
    assert reason in result.output
    assert "hf:" in result.output or "config.json" in result.output


def test_without_a_hub_a_folder_works(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    result = run("models", "add", "hf:nobody/nothing", "--repository", str(models), "--yes")
    assert result.exit_code == 1
    assert "the hub cannot be reached" in result.output
    assert "hf:./folder" in result.output


Change = Callable[[Path], object]
REFUSALS: dict[str, tuple[Change, list[str], str]] = {
    "an unknown architecture": (
        lambda folder: write_json(folder / "config.json", {**LLAMA, "architectures": ["T5Model"]}),
        [],
        "T5Model cannot be imported What can: BertForMaskedLM",
    ),
    "another task": (
        lambda folder: None,
        ["--task", "vectors"],
        "cannot be imported for vectors, only for: generation",
    ),
    "no such task": (lambda folder: None, ["--task", "poetry"], "cannot be imported for poetry"),
    "no such precision": (lambda folder: None, ["--precision", "int3"], "--precision takes: float32, float16, int8"),
    "no tokeniser": (lambda folder: (folder / "tokenizer.json").unlink(), [], "holds no tokenizer.json"),
    "code of its own": (
        lambda folder: write_json(folder / "config.json", {**LLAMA, "auto_map": {"AutoModel": "m.M"}}),
        [],
        "which is never run here",
    ),
    "pickled weights": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        [],
        "the weights are not safetensors but pytorch_model.bin",
    ),
    "a bad name": (lambda folder: None, ["--name", "My_Model"], "'My_Model' is no name for a model"),
    "a taken name": (lambda folder: None, ["--name", NAME], f"has a model {NAME} already"),
    "a taken version": (lambda folder: None, ["--name", NAME, "--version", "1"], f"has {NAME}/1 already"),
}


@pytest.mark.parametrize(("change", "words", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_imported_is_said_at_once(
    run: Run, models: Path, tmp_path: Path, nobody: None, change: Change, words: list[str], reason: str
) -> None:
    write_model(models)
    folder = write_checkpoint(tmp_path / "tiny")
    change(folder)
    result = run("models", "add", f"hf:{folder}", "--repository", str(models), "--yes", *words)
    assert result.exit_code in (1, 2)
    assert reason in " ".join(result.output.split())
    assert [path.name for path in models.iterdir()] == [NAME]


@without_torch
def test_without_torch_it_is_said_how_to_get_it(run: Run, models: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "tiny")
    result = run("models", "add", f"hf:{folder}", "--repository", str(models), "--yes")
    assert result.exit_code == 1
    assert "importing a model needs the package torch" in result.output
    assert "pip install 'marquee[" in result.output
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("all-MiniLM-L6-v2", "all-minilm-l6-v2"),
        ("Qwen3-0.6B", "qwen3-0-6b"),
        ("My_Model!", "my-model"),
        ("x" * 90, "x" * 64),
    ],
)
def test_a_name_is_made_of_the_sources(source: str, name: str) -> None:
    assert name_of(source) == name


def test_models_are_listed_shown_and_tried(run: Run, text_service: Path) -> None:
    listed = run("models", "list")
    assert listed.exit_code == 0
    assert NAME in listed.output
    assert "not loaded" in listed.output  # "moods" is not required, and nobody asked for it yet
    shown = run("models", "show", "moods")
    assert "text-classification" in shown.output
    tried = run("models", "try", "moods", "space love")
    assert tried.exit_code == 0, tried.output
    assert "adventure" in tried.output
    assert "ready" in run("models", "show", "moods").output
    vectors = run("models", "try", NAME, "space", "love")
    assert "8 numbers a text" in vectors.output
    assert "1.000" in vectors.output


def test_an_unknown_model_is_answered_with_those_that_there_are(run: Run, text_service: Path) -> None:
    result = run("models", "show", "nothing")
    assert result.exit_code == 2
    assert f"There are: {NAME}, moods" in result.output


def test_an_imported_model_is_removed_and_ours_stay(run: Run, text_service: Path) -> None:
    run("models", "try", "moods", "love")
    kept = run("models", "remove", NAME, "--yes", "--repository", str(text_service))
    assert kept.exit_code == 2
    assert "is part of Marquee" in kept.output
    removed = run("models", "remove", "moods", "--yes", "--repository", str(text_service))
    assert removed.exit_code == 0, removed.output
    assert not (text_service / "moods").exists()
    assert (text_service / NAME / "1" / "model.yaml").exists()
    assert "moods" not in run("models", "list").output


def test_without_a_service_the_advice_is_to_start_one(run: Run, nobody: None) -> None:
    for words in (["list"], ["show", "a"], ["try", "a", "text"]):
        result = run("models", *words)
        assert result.exit_code == 3
        assert "marquee up" in result.output


def test_models_of_pictures_are_tried_with_files(run: Run, vision_service: Path, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    picture.write_bytes(encoded(plain(size=(80, 40))))

    named, found = run("models", "try", COLOURS, str(picture)), run("models", "try", BOXES, str(picture), str(picture))
    missing = run("models", "try", COLOURS, str(tmp_path / "nothing.png"))
    no_picture = run("models", "try", COLOURS, str(vision_service / COLOURS / "1" / "model.yaml"))

    assert "red 0.98" in named.output
    assert "red 1.00 at 40,20-80,40" in found.output
    assert (missing.exit_code, no_picture.exit_code) == (2, 1)
    assert "cannot be read: no such file" in missing.output
    assert "not a JPEG, PNG or WebP picture" in " ".join(no_picture.output.split())


def test_an_imported_model_of_pictures_is_removed_from_its_own_folder(run: Run, vision_service: Path) -> None:
    ours, theirs = run("models", "remove", COLOURS, "--yes"), run("models", "remove", BOXES, "--yes")

    assert "is part of Marquee and was not imported" in " ".join(ours.output.split())
    assert theirs.exit_code == 0
    assert [path.name for path in vision_service.iterdir()] == [COLOURS]


def test_a_checkpoint_of_pictures_is_checked_before_torch_is_missed(run: Run, models: Path, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "vit", {"architectures": ["ViTForImageClassification"], "model_type": "vit"})

    result = run("models", "add", f"hf:{folder}", "--repository", str(models), "--yes")

    assert result.exit_code == 1
    assert "preprocessor_config.json is missing" in " ".join(result.output.split())
    assert list(models.iterdir()) == []
