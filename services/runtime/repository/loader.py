"""Load one model version: verify its files, open it, check parity, warm it up. Only then may it serve."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.runtime.engine import EngineUnavailable, OnnxModel
from services.runtime.logs import get_logger
from services.runtime.repository.manifest import MANIFEST_FILE, ManifestInvalid, ModelManifest, read_manifest
from services.runtime.repository.parity import ParityFailed, ParityReport, check_parity, read_cases

MODEL_FILE = "model.onnx"
_CHUNK_BYTES = 1 << 20
# A load that takes longer says how far it is, this often.
_QUIET_SECONDS = 2.0
_logger = get_logger(__name__)


class VersionRefused(RuntimeError):
    """A model version cannot serve; the message says why."""


class LoadCancelled(Exception):
    """The load was given up because the process ends."""


@dataclass(frozen=True)
class LoadedModel:
    """A version that passed every check.

    Attributes:
        label_names: class names in the order of the outputs; empty when the model has none.
        sample: inputs of the first golden case: a real request that is known to work.
    """

    manifest: ModelManifest
    folder: Path
    onnx: OnnxModel
    parity: ParityReport
    load_seconds: float
    label_names: tuple[str, ...]
    sample: Mapping[str, Any]

    def labels(self) -> list[str]:
        """Return the class names in the order of the outputs; empty when the model has none."""
        return list(self.label_names)


def load_version(
    folder: Path,
    open_graph: Callable[[Path], OnnxModel],
    check_cancelled: Callable[[], None] = lambda: None,
    verified: Callable[[int], None] = lambda count: None,
) -> LoadedModel:
    """Load the version in `folder`.

    Args:
        folder: `<name>/<version>` in the repository.
        open_graph: opens a graph on the execution provider of the process.
        check_cancelled: raises `LoadCancelled` when the load is to be given up; asked between the steps.
        verified: told again and again how many bytes of the version's files have been verified.

    Raises:
        VersionRefused: a file is missing or corrupt, the graph cannot be opened, or parity failed.
        LoadCancelled: see `check_cancelled`.
    """
    start = time.monotonic()
    try:
        manifest = read_manifest(folder)
        _check_listed(folder, manifest)
        verify_files(folder, manifest.files, check_cancelled, verified)
        labels = _read_labels(folder, manifest)
        onnx = open_graph(folder / MODEL_FILE)
        check_cancelled()
        _check_tensors(folder, manifest, onnx)
        parity = check_parity(onnx, folder, manifest.golden)
        check_cancelled()
        sample = read_cases(folder / manifest.golden.file)[0][0]
        for _ in range(manifest.warmup_runs):
            onnx.run(sample)
    except (VersionRefused, LoadCancelled):
        raise
    except (ManifestInvalid, ParityFailed, EngineUnavailable) as error:
        raise VersionRefused(f"{folder.parent.name}/{folder.name}: {error}") from error
    except Exception as error:
        # Whatever a broken file makes the libraries raise, the service must live on with its other models. Their
        # texts may name paths of this machine, so they go to the log only.
        _logger.exception("model cannot be opened", model=folder.parent.name, version=folder.name)
        raise VersionRefused(
            f"{folder.parent.name}/{folder.name}: the model cannot be opened; the service's log says why"
        ) from error
    return LoadedModel(manifest, folder, onnx, parity, time.monotonic() - start, labels, sample)


def verify_files(
    folder: Path,
    files: Mapping[str, str],
    check_cancelled: Callable[[], None] = lambda: None,
    verified: Callable[[int], None] = lambda count: None,
) -> None:
    """Compare each file of a folder with its stated SHA-256. Gigabytes take seconds, and the log tells how far it is.

    Args:
        folder: where the files lie.
        files: name → SHA-256 in hexadecimal.
        check_cancelled: raises `LoadCancelled` to give up.
        verified: told after each MiB how many bytes have been read, over all files.

    Raises:
        VersionRefused: naming the first file that is missing or differs.
    """
    done, said = 0, time.monotonic()
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise VersionRefused(f"{folder.parent.name}/{folder.name}: file {name} is missing")
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                verified(done)
                check_cancelled()
                if time.monotonic() - said >= _QUIET_SECONDS:
                    said = time.monotonic()
                    _logger.info(
                        "verifying model",
                        model=folder.parent.name,
                        version=folder.name,
                        file=name,
                        megabytes=done >> 20,
                    )
        actual = digest.hexdigest()
        if actual != expected:
            raise VersionRefused(
                f"{folder.parent.name}/{folder.name}: file {name} is corrupt: SHA-256 {actual[:12]}…, "
                f"expected {expected[:12]}…"
            )


def _check_listed(folder: Path, manifest: ModelManifest) -> None:
    for name in (MODEL_FILE, manifest.golden.file, manifest.labels):
        if name is not None and name not in manifest.files:
            raise VersionRefused(f"{folder.parent.name}/{folder.name}: {MANIFEST_FILE} states no SHA-256 of {name}")
    # The graph names its files of weights itself; whatever it could find beside it has to be verified.
    for path in folder.glob(f"{MODEL_FILE}.*"):
        if path.name not in manifest.files:
            raise VersionRefused(
                f"{folder.parent.name}/{folder.name}: {MANIFEST_FILE} states no SHA-256 of {path.name}"
            )


def _check_tensors(folder: Path, manifest: ModelManifest, onnx: OnnxModel) -> None:
    for kind, declared, actual in (
        ("inputs", manifest.inputs, onnx.input_names),
        ("outputs", manifest.outputs, onnx.output_names),
    ):
        names = [tensor.name for tensor in declared]
        if sorted(names) != sorted(actual):
            raise VersionRefused(
                f"{folder.parent.name}/{folder.name}: {MANIFEST_FILE} declares the {kind} {', '.join(sorted(names))}; "
                f"the graph has {', '.join(sorted(actual))}"
            )


def _read_labels(folder: Path, manifest: ModelManifest) -> tuple[str, ...]:
    """Return the class names; a count that fits no output would name the wrong class, so it refuses the version."""
    if manifest.labels is None:
        return ()
    try:
        labels = tuple((folder / manifest.labels).read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise VersionRefused(f"{folder.parent.name}/{folder.name}: {manifest.labels} is no UTF-8") from error
    widths = [output.shape[-1] for output in manifest.outputs if output.shape]
    if len(labels) not in widths and -1 not in widths:
        raise VersionRefused(
            f"{folder.parent.name}/{folder.name}: {manifest.labels} has {len(labels)} names; the outputs have "
            f"{', '.join(map(str, widths)) or 'no'} columns"
        )
    return labels
