"""Writes one model version into a model repository: graph, extra files, golden outputs, card, manifest.

Publishing the same graph, files and cases twice on one machine gives the same bytes. On another kind of CPU the
golden outputs may differ in their last bits, and with them `golden.npz` and its checksum; nothing else does.

A graph whose weights are too large for one file (2 GB is what protobuf can hold) keeps them in files beside it, which
the graph names; ONNX Runtime maps those into memory. Such a file is never held in memory here.
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
    extra_files: Mapping[str, bytes | Path],
    golden_cases: Sequence[Tensors],
    card: str,
    largest_file_bytes: int | None = LARGEST_FILE_BYTES,
) -> Path:
    """Writes `<models>/<name>/<version>/` and returns the path of its `model.yaml`.

    Args:
        folder: The version folder; its last two parts must be the manifest's `name` and `version`. It is created
            when missing; files of an earlier build that this build does not write are removed.
        manifest: Everything of `model.yaml` except `files`, which is computed here. `golden` needs only its
            `tolerance`; the file name is filled in.
        model: The graph, or its serialised bytes. Its input and output names must be those of the manifest.
        extra_files: File name to content (`tokenizer.json`, `labels.txt`); each gets its SHA-256 in `files`. A file of
            weights that the graph names (`model.onnx.data`) is given by its path and is moved into the folder; it may
            lie there already.
        golden_cases: Real samples, one mapping of input name to array for each complete run of the model. The
            outputs stored beside them are what this graph answers on the CPU with one thread.
        card: Text of `card.md`. It carries no checksum, so that a card can be corrected in place.
        largest_file_bytes: Largest size of one file; the default is for models that are kept in git. None: no limit.

    Raises:
        PublishError: A name, version, tensor or file name does not match, a case is missing, an output is not
            finite, or a file is larger than `largest_file_bytes`.
    """
    if (folder.parent.name, folder.name) != (manifest["name"], manifest["version"]):
        raise PublishError(f"{folder} is not the folder of {manifest['name']} version {manifest['version']}")
    reserved = {MODEL_FILE, MANIFEST_FILE, CARD_FILE, GOLDEN_FILE} & set(extra_files)
    if reserved:
        raise PublishError(f"extra files use reserved names: {sorted(reserved)}")

    graph = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    contents = {name: content for name, content in extra_files.items() if isinstance(content, bytes)}
    weights = {name: path for name, path in extra_files.items() if isinstance(path, Path)}
    _check_sizes(
        {MODEL_FILE: len(graph), **{name: len(content) for name, content in contents.items()}},
        weights,
        largest_file_bytes,
    )
    if weights:
        # The graph opens only beside its weights. The manifest is what makes a folder a version, so it goes first.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
        for name, path in weights.items():
            path.replace(folder / name)
        (folder / MODEL_FILE).write_bytes(graph)
    golden = golden_archive(folder / MODEL_FILE if weights else graph, manifest, golden_cases)
    _check_sizes({GOLDEN_FILE: len(golden)}, {}, largest_file_bytes)
    hashed = {MODEL_FILE: graph, **contents, GOLDEN_FILE: golden}

    document = dict(manifest)
    document["files"] = {
        name: _sha256_of(folder / name) if name in weights else hashlib.sha256(hashed[name]).hexdigest()
        for name in (MODEL_FILE, *extra_files, GOLDEN_FILE)
    }
    document["golden"] = {"file": GOLDEN_FILE, **manifest["golden"]}
    text = yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=110)

    # The manifest is what makes a folder a version, so it goes first and comes back last.
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).unlink(missing_ok=True)
    for stale in folder.iterdir():
        if stale.is_file() and stale.name not in {*hashed, *weights, CARD_FILE}:
            stale.unlink()
    for name, content in hashed.items():
        (folder / name).write_bytes(content)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return folder / MANIFEST_FILE


def _check_sizes(lengths: Mapping[str, int], files: Mapping[str, Path], largest: int | None) -> None:
    for name, length in {**lengths, **{name: path.stat().st_size for name, path in files.items()}}.items():
        if largest is not None and length > largest:
            raise PublishError(f"{name} has {length} bytes, more than {largest}")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _PlainDumper(yaml.SafeDumper):
    """Writes a repeated list out again instead of pointing at its first place."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def golden_archive(graph: bytes | Path, manifest: Mapping[str, Any], cases: Sequence[Tensors]) -> bytes:
    """Runs every case through the graph, given by its bytes or its file, and returns the bytes of `golden.npz`.

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


def cpu_session(graph: bytes | Path, intra_op_threads: int = 1) -> onnxruntime.InferenceSession:
    """Returns a CPU session as the services open it: one thread a run, no spinning.

    Args:
        graph: The graph's bytes, or its file, beside which its weights may lie.
        intra_op_threads: Threads of one run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(graph) if isinstance(graph, Path) else graph
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
