"""The card of an imported model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from services.runtime.training.imports.checkpoint import NOT_STATED, Checkpoint
from services.runtime.training.imports.figures import Figure
from services.runtime.training.imports.importer import Precision, Wish

_STORED: Mapping[Precision, str] = {
    "float32": "float32",
    "float16": "float16 in the file, float32 when it is loaded",
    "int8": "int8: tables a scale a row, matrices a scale for 32 inputs, products of integers",
}


def render_card(
    checkpoint: Checkpoint,
    wish: Wish,
    *,
    does: str,
    facts: Mapping[str, str],
    compared: str,
    figures: Sequence[Figure],
    graph: bytes,
    files: Mapping[str, bytes | Path],
    limits: str,
) -> str:
    """Return the text of `card.md`.

    Args:
        checkpoint: what was imported.
        wish: what for.
        does: what the model does, in a sentence or two.
        facts: more lines of the table.
        compared: on what the figures were measured.
        figures: what was measured.
        graph: bytes of the graph.
        files: files beside the graph.
        limits: what to know before it is used.
    """
    large = sum(content.stat().st_size for content in files.values() if isinstance(content, Path))
    table = {
        "Source": checkpoint.source,
        "Architecture": f"{checkpoint.architecture}, {checkpoint.parameters / 1e6:,.1f} M parameters",
        "Licence": "not stated by the checkpoint; find out before you use it"
        if checkpoint.license == NOT_STATED
        else f"{checkpoint.license}, as the checkpoint states it; it is for you to keep to it",
        "Weights": _STORED[wish.precision],
        "Size": f"{(len(graph) + large) / 1e6:,.1f} MB",
        **facts,
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in table.items())
    measured = "\n".join(figure.row() for figure in figures)
    return f"""# {wish.name}, version {wish.version}

{does}

Imported from a published checkpoint: safetensors weights, no code of the checkpoint was run.

| | |
|---|---|
{rows}

## Parity with the original
On {compared}, against the transformers library running the published
weights in float32. An import outside of a limit is refused.

| figure | measured | limit |
|---|---|---|
{measured}

## Limits
{limits}
Nothing was measured of how good the model is at anything: see what its makers say.
"""
