"""Which architectures can be imported, and for what. Each family lists its own; the command puts the lists together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.steps import Steps

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
EMBEDDED_BYTES = 1 << 30
"""A graph whose weights are larger keeps them in a file beside it; protobuf ends at 2 GiB."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a checkpoint.

    Attributes:
        name: of the model in the repository.
        version: of the model in the repository.
        task: one of the importer's.
        precision: of the weights in the file.
        embedded_bytes: weights of more bytes than this go to a file beside the graph.
    """

    name: str
    version: str
    task: str
    precision: Precision
    embedded_bytes: int = EMBEDDED_BYTES


@dataclass(frozen=True)
class ImportedVersion:
    """A converted checkpoint that passed its comparison with the original, ready to be published.

    Attributes:
        manifest: everything of `model.yaml` but the checksums.
        graph: bytes of the graph.
        files: the other files, by their content or, for large ones, where they lie.
        golden_cases: inputs for the parity check at load.
        card: text of `card.md`.
        summary: in one line, how near the original it is.
    """

    manifest: Mapping[str, Any]
    graph: bytes
    files: Mapping[str, bytes | Path]
    golden_cases: Sequence[Mapping[str, Any]]
    card: str
    summary: str


@dataclass(frozen=True)
class Importer:
    """Imports one architecture.

    Attributes:
        architecture: as `config.json` names it.
        service: model service that serves the result: "text", "vision".
        tasks: what it can be imported for; the first is what a checkpoint is imported for when nobody says.
        check: looks whether a checkpoint can be imported for a task, without torch; raises `ImportRefused`.
        convert: imports it; needs torch. Takes checkpoint, wish, an empty folder for large files, and steps.
    """

    architecture: str
    service: str
    tasks: tuple[str, ...]
    check: Callable[[Checkpoint, str], None]
    convert: Callable[[Checkpoint, Wish, Path, Steps], ImportedVersion]


def choose(importers: Sequence[Importer], architecture: str, task: str | None) -> tuple[Importer, str]:
    """Return who imports an architecture, and for which task.

    Raises:
        ImportRefused: nobody does, or not for that task.
    """
    found = [one for one in importers if one.architecture == architecture]
    if not found:
        raise ImportRefused(f"{architecture} cannot be imported", f"What can: {supported(importers)}.")
    for one in found:
        if task is None or task in one.tasks:
            return one, task or one.tasks[0]
    tasks = ", ".join(task for one in found for task in one.tasks)
    able = supported([one for one in importers if task in one.tasks])
    raise ImportRefused(
        f"{architecture} cannot be imported for {task}, only for: {tasks}",
        f"For {task} there are: {able}." if able else "",
    )


def supported(importers: Sequence[Importer]) -> str:
    """Return the architectures by name."""
    return ", ".join(sorted({one.architecture for one in importers}))
