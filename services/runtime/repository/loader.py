"""Load one model version: verify its files, open it, check parity, warm it up. Only then may it serve."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from services.runtime.engine import EngineUnavailable, OnnxModel
from services.runtime.logs import get_logger
from services.runtime.repository.manifest import MANIFEST_FILE, ManifestInvalid, ModelManifest, read_manifest
from services.runtime.repository.parity import ParityFailed, ParityReport, check_parity, read_cases

MODEL_FILE = "model.onnx"
_logger = get_logger(__name__)


class VersionRefused(RuntimeError):
    """A model version cannot serve; the message says why."""


@dataclass(frozen=True)
class LoadedModel:
    """A version that passed every check."""

    manifest: ModelManifest
    folder: Path
    onnx: OnnxModel
    parity: ParityReport
    load_seconds: float

    def labels(self) -> list[str]:
        """Return the class names in the order of the outputs; empty when the model has none."""
        if self.manifest.labels is None:
            return []
        return (self.folder / self.manifest.labels).read_text(encoding="utf-8").splitlines()


def load_version(folder: Path, provider: str) -> LoadedModel:
    """Load the version in `folder` on an execution provider.

    Raises:
        VersionRefused: a file is missing or corrupt, the graph cannot be opened, or parity failed.
    """
    start = time.monotonic()
    try:
        manifest = read_manifest(folder)
        _check_listed(folder, manifest)
        verify_files(folder, manifest.files)
        onnx = OnnxModel(folder / MODEL_FILE, provider)
        parity = check_parity(onnx, folder, manifest.golden)
        _warm_up(onnx, folder, manifest)
    except VersionRefused:
        raise
    except (ManifestInvalid, ParityFailed, EngineUnavailable) as error:
        raise VersionRefused(f"{folder.parent.name}/{folder.name}: {error}") from error
    except Exception as error:
        # Whatever a broken file makes the libraries raise, the service must live on with its other models. Their
        # texts may
        # name paths of this machine, so they go to the log only.
        _logger.exception("model cannot be opened", model=folder.parent.name, version=folder.name)
        raise VersionRefused(
            f"{folder.parent.name}/{folder.name}: the model cannot be opened; the service's log says why"
        ) from error
    return LoadedModel(manifest, folder, onnx, parity, time.monotonic() - start)


def verify_files(folder: Path, files: dict[str, str]) -> None:
    """Compare each file of a folder with its stated SHA-256; raises `VersionRefused` naming the first that differs."""
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise VersionRefused(f"{folder.parent.name}/{folder.name}: file {name} is missing")
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise VersionRefused(
                f"{folder.parent.name}/{folder.name}: file {name} is corrupt: SHA-256 {actual[:12]}…, "
                f"expected {expected[:12]}…"
            )


def _check_listed(folder: Path, manifest: ModelManifest) -> None:
    for name in (MODEL_FILE, manifest.golden.file, manifest.labels):
        if name is not None and name not in manifest.files:
            raise VersionRefused(f"{folder.parent.name}/{folder.name}: {MANIFEST_FILE} states no SHA-256 of {name}")


def _warm_up(onnx: OnnxModel, folder: Path, manifest: ModelManifest) -> None:
    inputs, _ = read_cases(folder / manifest.golden.file)[0]
    for _ in range(manifest.warmup_runs):
        onnx.run(inputs)
