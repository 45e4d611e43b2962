"""The services under the contract: how to build each, and what to ask it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.classical.main import CONTRACT as CLASSICAL
from services.classical.main import build as build_classical
from services.classical.settings import ClassicalSettings
from services.runtime.server import ServiceDefinition
from services.runtime.settings import ServiceSettings
from services.text.main import CONTRACT as TEXT
from services.text.main import build as build_text
from services.text.settings import TextSettings
from services.vision.main import CONTRACT as VISION
from services.vision.main import build as build_vision
from services.vision.settings import VisionSettings
from tests.contract.cases import classical, dummy, text, vision
from tests.contract.cases.kinds import Cases
from tests.support.dummy_detector import write_detector
from tests.support.dummy_model import edit_manifest, write_model
from tests.support.dummy_service import DummyService
from tests.support.tensor_models import write_forest_model, write_linear_model

Built = tuple[ServiceDefinition, ServiceSettings]


@dataclass(frozen=True)
class Family:
    """One model service.

    Attributes:
        build: makes the service with its real models; takes a scratch folder and the folder of the tests' bundles.
    """

    name: str
    contract: str
    cases: Cases
    build: Callable[[Path, Path], Built]


def _text(scratch: Path, bundles: Path) -> Built:
    settings = TextSettings(port=0, bundle_repository=bundles, maximum_message_bytes=text.MESSAGE_LIMIT)
    return build_text(settings), settings


def _vision(scratch: Path, bundles: Path) -> Built:
    # Beside its own models, such as others may put into its repository.
    models = scratch / "models"
    shutil.copytree(Path("services/vision/models").resolve(), models)
    write_detector(models)
    for manifest in models.glob("*/*/model.yaml"):
        # All are there from the start, whichever is asked first.
        edit_manifest(manifest.parent, lambda document: document.update(required=True))
    settings = VisionSettings(
        port=0,
        model_repository=models,
        bundle_repository=bundles,
        maximum_message_bytes=vision.MESSAGE_LIMIT,
        maximum_image_bytes=vision.IMAGE_LIMIT,
        faces_tenants="*",
    )
    return build_vision(settings), settings


def _classical(scratch: Path, bundles: Path) -> Built:
    # Beside its own models, such as others may put into its repository.
    models = scratch / "models"
    shutil.copytree(Path("services/classical/models").resolve(), models)
    write_linear_model(models)
    write_forest_model(models)
    settings = ClassicalSettings(
        port=0,
        model_repository=models,
        bundle_repository=bundles,
        maximum_message_bytes=classical.MESSAGE_LIMIT,
    )
    return build_classical(settings), settings


def _dummy(scratch: Path, bundles: Path) -> Built:
    models = scratch / "models"
    write_model(models, work=100)
    service = DummyService(models, bundles, maximum_message_bytes=text.MESSAGE_LIMIT)
    return service.definition(), service.settings


FAMILIES = [
    Family("dummy", TEXT, dummy.cases(), _dummy),
    Family("text", TEXT, text.cases(), _text),
    Family("vision", VISION, vision.cases(), _vision),
    Family("classical", CLASSICAL, classical.cases(), _classical),
]
