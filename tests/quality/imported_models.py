"""Imports a tiny checkpoint with random weights of each tested architecture in each precision, and prints how near they
are to the originals: the table of docs/bring-your-own-models.md.

`.venv-training/bin/python -m tests.quality.imported_models` takes about 6 minutes on two idle cores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

from services.runtime.training.imports.checkpoint import read_checkpoint
from services.runtime.training.imports.importer import PRECISIONS, Wish, choose
from services.runtime.training.imports.steps import quiet
from services.text.training.imports.importers import importers
from tests.unit.services.text.training.imports.tiny import DECODERS, ENCODERS, write_tiny

LABELS = {"id2label": {0: "calm", 1: "tense", 2: "funny"}}


def checkpoints() -> Iterator[tuple[str, Any, Any, str]]:
    """Yield name, Auto class, configuration and what the tokeniser makes of a text."""
    for name, config in DECODERS.items():
        yield name, transformers.AutoModelForCausalLM, config, "<s> $A" if name == "llama" else ""
    for name, config in ENCODERS.items():
        yield name, transformers.AutoModel, config, "<s> $A </s>"
    for name, config in ENCODERS.items():
        with_labels = type(config)(**{**config.to_dict(), **LABELS})
        yield f"{name}-labels", transformers.AutoModelForSequenceClassification, with_labels, "<s> $A </s>"


def main() -> None:
    """Print a line for each architecture and precision."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for name, kind, config, template in checkpoints():
            write_tiny(Path(scratch) / name, kind, config, template)
            checkpoint = read_checkpoint(Path(scratch) / name, f"the folder {name}")
            importer, task = choose(importers(), checkpoint.architecture, None)
            for precision in PRECISIONS:
                folder = Path(scratch) / f"{name}-{precision}"
                folder.mkdir()
                version = importer.convert(checkpoint, Wish("tiny", "1", task, precision), folder, quiet)
                print(f"| `{checkpoint.architecture}` | {task} | {precision} | {version.summary} |", flush=True)


if __name__ == "__main__":
    main()
