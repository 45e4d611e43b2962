"""`model.yaml`: what a model version is, what it takes and gives, and what keeps its answers honest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.runtime.pipeline import Place, Placement

MANIFEST_FILE = "model.yaml"


class ManifestInvalid(ValueError):
    """A `model.yaml` cannot be read; the message says what is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorDescription(_Strict):
    """Name, Open Inference datatype and shape (-1 is free) of one input or output."""

    name: str
    datatype: Literal["BOOL", "UINT8", "INT8", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"]
    shape: list[int]


class Batching(_Strict):
    """How requests may share a run without changing each other's answers."""

    max_batch: int = Field(default=1, ge=1, description="Largest batch of one run.")
    cost_unit: Literal["tokens", "pixels", "rows", "items"] = Field(
        default="rows", description="Unit of a request's cost."
    )
    exact_length: bool = Field(default=False, description="Only inputs of equal length may share a run: no padding.")


class PlacementDescription(_Strict):
    """Where each stage of the pipeline executes."""

    prepare: Place = Place.INLINE
    run: Place = Place.ENGINE
    finish: Place = Place.INLINE

    def placement(self) -> Placement:
        """Return the placement for the data plane."""
        return Placement(self.prepare, self.run, self.finish)


class Tolerance(_Strict):
    """How far golden outputs may differ on one execution provider."""

    max_difference: float = Field(ge=0, description="Largest absolute difference of any output value.")
    decision_flips: int = Field(default=0, ge=0, description="Rows whose largest output may change place.")


class Golden(_Strict):
    """Stored inputs and outputs, and how closely this machine must reproduce them."""

    file: str
    tolerance: dict[str, Tolerance]


class ModelManifest(_Strict):
    """One version of one model."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    task: str
    description: str
    license: str
    source: str
    required: bool = True
    files: dict[str, str]
    inputs: list[TensorDescription]
    outputs: list[TensorDescription]
    batching: Batching = Batching()
    placement: PlacementDescription = PlacementDescription()
    limits: dict[str, int] = Field(default_factory=dict)
    labels: str | None = None
    golden: Golden
    warmup_runs: int = Field(default=1, ge=0, le=100)


def read_manifest(folder: Path) -> ModelManifest:
    """Read and check the manifest of a version folder.

    Raises:
        ManifestInvalid: the file is missing, no YAML, has unknown or bad fields, or disagrees with its folder.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = ModelManifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ManifestInvalid(f"{MANIFEST_FILE} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ManifestInvalid(f"{MANIFEST_FILE} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise ManifestInvalid(f"{MANIFEST_FILE}: {place}: {first['msg']}") from error
    if (manifest.name, manifest.version) != (folder.parent.name, folder.name):
        raise ManifestInvalid(
            f"{MANIFEST_FILE} says {manifest.name}/{manifest.version} but lies in {folder.parent.name}/{folder.name}"
        )
    return manifest
