"""What the vision family can import. Importing this module needs no torch; converting does."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.importer import ImportedVersion, Importer, Wish
from services.runtime.training.imports.steps import Steps
from services.vision.training.imports.plans import plan_detection, plan_picture_vectors, plan_recognition

RECOGNITION, VECTORS, DETECTION = "image-recognition", "image-vectors", "object-detection"
_PACKAGE = "services.vision.training.imports"


def importers() -> list[Importer]:
    """Return an importer for each architecture that is tested."""
    return [
        _importer("ViTForImageClassification", RECOGNITION, plan_recognition, "recognition"),
        _importer("ViTModel", VECTORS, plan_picture_vectors, "recognition"),
        _importer("DetrForObjectDetection", DETECTION, plan_detection, "detection"),
        _importer("YolosForObjectDetection", DETECTION, plan_detection, "detection"),
    ]


def _importer(architecture: str, task: str, plan: Callable[[Checkpoint], object], module: str) -> Importer:
    def check(checkpoint: Checkpoint, chosen: str) -> None:
        plan(checkpoint)

    def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
        # Imported when it is called, and torch with it.
        version: ImportedVersion = import_module(f"{_PACKAGE}.{module}").convert(checkpoint, wish, folder, steps)
        return version

    return Importer(architecture, "vision", (task,), check, convert)
