"""Writes one model version into a model repository: graph, extra files, golden outputs, card, manifest.

Publishing the same graph, files and cases twice on one machine gives the same bytes. On another kind of CPU the
golden outputs may differ in their last bits, and with them `golden.npz` and its checksum; nothing else does.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import yaml

if TYPE_CHECKING:
    import onnx

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "model.yaml"
CARD_FILE = "card.md"
GOLDEN_FILE = "golden.npz"
LARGEST_FILE_BYTES = 35 * 1024 * 1024

Tensors = Mapping[str, "np.ndarray[Any, Any]"]


class PublishError(ValueError):
    """The version would not be servable: the manifest, the graph and the folder do not agree."""


def publish_version(
    folder: Path,
    manifest: Mapping[str, Any],
    model: onnx.ModelProto | bytes,
    extra_files: Mapping[str, bytes],
    golden_cases: Sequence[Tensors],
    card: str,
) -> Path:
    """Writes `<models>/<name>/<version>/` and returns the path of its `model.yaml`.

    Args:
        folder: The version folder; its last two parts must be the manifest's `name` and `version`. It is created
            when missing; files of an earlier build that this build does not write are removed.
        manifest: Everything of `model.yaml` except `files`, which is computed here. `golden` needs only its
            `tolerance`; the file name is filled in.
        model: The graph, or its serialised bytes. Its input and output names must be those of the manifest.
        extra_files: File name to content (`tokenizer.json`, `labels.txt`); each gets its SHA-256 in `files`.
        golden_cases: Real samples, one mapping of input name to array for each complete run of the model. The
            outputs stored beside them are what this graph answers on the CPU with one thread.
        card: Text of `card.md`. It carries no checksum, so that a card can be corrected in place.

    Raises:
        PublishError: A name, version, tensor or file name does not match, a case is missing, an output is not
            finite, or a file is larger than `LARGEST_FILE_BYTES`.
    """
    if (folder.parent.name, folder.name) != (manifest["name"], manifest["version"]):
        raise PublishError(f"{folder} is not the folder of {manifest['name']} version {manifest['version']}")
    reserved = {MODEL_FILE, MANIFEST_FILE, CARD_FILE, GOLDEN_FILE} & set(extra_files)
    if reserved:
        raise PublishError(f"extra files use reserved names: {sorted(reserved)}")

    graph = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    golden = golden_archive(graph, manifest, golden_cases)
    hashed = {MODEL_FILE: graph, **extra_files, GOLDEN_FILE: golden}
    for name, content in hashed.items():
        if len(content) > LARGEST_FILE_BYTES:
            raise PublishError(f"{name} has {len(content)} bytes, more than {LARGEST_FILE_BYTES}")

    document = dict(manifest)
    document["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in hashed.items()}
    document["golden"] = {"file": GOLDEN_FILE, **manifest["golden"]}
    text = yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=110)

    # The manifest is what makes a folder a version, so it goes first and comes back last.
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).unlink(missing_ok=True)
    for stale in folder.iterdir():
        if stale.is_file() and stale.name not in {*hashed, CARD_FILE}:
            stale.unlink()
    for name, content in hashed.items():
        (folder / name).write_bytes(content)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return folder / MANIFEST_FILE


class _PlainDumper(yaml.SafeDumper):
    """Writes a repeated list out again instead of pointing at its first place."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def golden_archive(graph: bytes, manifest: Mapping[str, Any], cases: Sequence[Tensors]) -> bytes:
    """Runs every case through the graph and returns the bytes of `golden.npz`.

    The archive holds `case<N>.input.<name>` and `case<N>.output.<name>`, N from 0.

    Raises:
        PublishError: See `publish_version`.
    """
    if not cases:
        raise PublishError("at least one golden case is needed")
    session = cpu_session(graph)
    graph_inputs = [value.name for value in session.get_inputs()]
    output_names = [value.name for value in session.get_outputs()]
    for kind, names in (("inputs", graph_inputs), ("outputs", output_names)):
        declared = [tensor["name"] for tensor in manifest[kind]]
        if sorted(declared) != sorted(names):
            raise PublishError(f"the manifest declares the {kind} {declared}, the graph has {names}")

    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for number, case in enumerate(cases):
        for name, output in zip(output_names, session.run(output_names, dict(case)), strict=True):
            if np.issubdtype(output.dtype, np.floating) and not np.isfinite(output).all():
                raise PublishError(f"golden case {number}: output {name} is not finite")
            arrays[f"case{number}.output.{name}"] = output
        arrays.update({f"case{number}.input.{name}": value for name, value in case.items()})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(sorted(arrays.items())))
    return buffer.getvalue()


def cpu_session(graph: bytes, intra_op_threads: int = 1) -> onnxruntime.InferenceSession:
    """Returns a CPU session as the services open it: one thread a run, no spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
