"""What imports of pictures' networks have in common: the export, and most of the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.exporting import FREE, export_graph
from services.runtime.training.imports.importer import Wish
from services.runtime.training.imports.precision import in_precision
from services.runtime.training.imports.steps import Steps
from services.vision.training.imports.plans import PicturePlan

LABELS_FILE = "labels.txt"
# Sizes of the example that is traced; each axis of its own length, so that none passes for another.
_EXAMPLE = (2, 224, 288)


def export_pictures(
    module: torch.nn.Module, outputs: Sequence[str], plan: PicturePlan, wish: Wish, folder: Path, steps: Steps
) -> tuple[bytes, dict[str, Path]]:
    """Export, round and write a network; returns the graph and the file of weights beside it, if there is one."""
    fixed = plan.preprocessing.fixed
    shape = (_EXAMPLE[0], *fixed) if fixed else _EXAMPLE
    free = {0: FREE} if fixed else {0: FREE, 1: FREE, 2: FREE}
    pixels = torch.zeros((*shape, 3), dtype=torch.uint8)
    with steps("Converting", None):
        graph = in_precision(export_graph(module, (pixels,), (free,), ["pixels"], outputs), wish.precision)
    with steps("Writing the weights", graph.size_bytes) as step:
        return graph.write(folder, wish.embedded_bytes, step.advance)


def manifest_of(
    checkpoint: Checkpoint,
    wish: Wish,
    plan: PicturePlan,
    *,
    task: str,
    description: str,
    outputs: Mapping[str, Sequence[int]],
    difference: float,
) -> dict[str, Any]:
    """Return everything of `model.yaml` but the checksums.

    Args:
        checkpoint: what was imported.
        wish: what for.
        plan: how the network is fed.
        task: that the service knows.
        description: in a sentence.
        outputs: name and shape, without the axis of pictures.
        difference: of an output, that another machine's arithmetic may make.
    """
    height, width = plan.preprocessing.fixed or (-1, -1)
    return {
        "name": wish.name,
        "version": wish.version,
        "task": task,
        "description": description,
        "license": checkpoint.license,
        "source": checkpoint.source,
        "required": False,
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, height, width, 3]}],
        "outputs": [{"name": name, "datatype": "FP32", "shape": [-1, *shape]} for name, shape in outputs.items()],
        # As with the picture models that ship: on CPUs batches answer later and no more a second.
        "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
        "placement": {"prepare": "engine", "run": "engine", "finish": "inline"},
        "limits": dict(plan.preprocessing.limits),
        **({"labels": LABELS_FILE} if plan.labels else {}),
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": difference},
                "CUDAExecutionProvider": {"max_difference": max(0.02, difference)},
            }
        },
        "warmup_runs": 1,
    }


def files_of(plan: PicturePlan, weights: Mapping[str, Path]) -> dict[str, bytes | Path]:
    """Return the files beside the graph."""
    labels = "".join(f"{label}\n" for label in plan.labels).encode()
    return {**({LABELS_FILE: labels} if plan.labels else {}), **weights}


def shown_labels(labels: Sequence[str]) -> str:
    """Return the first labels, for the card."""
    return ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
