"""What the text family can import. Importing this module needs no torch; converting does."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.importer import ImportedVersion, Importer, Wish
from services.runtime.training.imports.steps import Steps
from services.text.training.imports.decoder_plan import plan_decoder
from services.text.training.imports.encoder_plan import plan_classifier, plan_vectors

VECTORS, CLASSIFICATION, GENERATION = "vectors", "classification", "generation"
_PACKAGE = "services.text.training.imports"
DECODERS = ("GPT2LMHeadModel", "LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
ENCODERS = ("Bert", "DistilBert", "Roberta", "XLMRoberta")


def importers() -> list[Importer]:
    """Return an importer for each architecture that is tested."""
    decoders = [
        Importer(
            name, "text", (GENERATION,), lambda checkpoint, task: _check(plan_decoder, checkpoint), _later("decoder")
        )
        for name in DECODERS
    ]
    vectors = [
        Importer(
            f"{name}{head}",
            "text",
            (VECTORS,),
            lambda checkpoint, task: _check(plan_vectors, checkpoint),
            _later("vectors"),
        )
        for name in ENCODERS
        for head in ("Model", "ForMaskedLM")
    ]
    classifiers = [
        Importer(
            f"{name}ForSequenceClassification",
            "text",
            (CLASSIFICATION,),
            lambda checkpoint, task: _check(plan_classifier, checkpoint),
            _later("classifier"),
        )
        for name in ENCODERS
    ]
    return [*decoders, *vectors, *classifiers]


def _check(plan: Callable[[Checkpoint], object], checkpoint: Checkpoint) -> None:
    plan(checkpoint)


def _later(module: str) -> Callable[[Checkpoint, Wish, Path, Steps], ImportedVersion]:
    """Return the `convert` of a module that is imported when it is called, and torch with it."""

    def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
        version: ImportedVersion = import_module(f"{_PACKAGE}.{module}").convert(checkpoint, wish, folder, steps)
        return version

    return convert
