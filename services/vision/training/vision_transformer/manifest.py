"""What the version folders of the Vision Transformers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.vision.training.version import CARDS, LABELS_FILE, Version
from services.vision.training.vision_transformer.measuring import Pixels
from services.vision.training.vision_transformer.network import VisionTransformer


def finished(
    name: str,
    network: VisionTransformer,
    graph: bytes,
    identity: Mapping[str, str],
    labels: Sequence[str],
    golden_cases: list[Mapping[str, Pixels]],
    fields: Mapping[str, Any],
    passed: bool,
    summary: str,
    files: Mapping[str, bytes] | None = None,
) -> Version:
    """Returns the version with its manifest and its card, `cards/<name>.md` filled in with `fields`.

    Args:
        name: Of the model.
        network: What was fitted.
        graph: What is served.
        identity: The manifest's description, license and source.
        labels: Names of the classes in their order.
        golden_cases: Inputs of the check at load.
        fields: What was measured, for the card.
        passed: Whether it may be published.
        summary: Line that says why.
        files: Further files of the folder.
    """
    shape = network.shape
    manifest = {
        "name": name,
        "version": "1",
        "task": "image-recognition",
        **identity,
        # A tenant's choice, loaded at its first use; the service is ready without it.
        "required": False,
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, shape.side, shape.side, 3]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, shape.classes]},
            {"name": "vectors", "datatype": "FP32", "shape": [-1, shape.dimensions]},
        ],
        "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
        "placement": {"prepare": "engine", "run": "engine", "finish": "inline"},
        # No shorter side to scale to: the whole picture is stretched to the square.
        "limits": {"side": shape.side, "resize_side": 0},
        "labels": LABELS_FILE,
        "golden": {
            "tolerance": {
                "CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0},
                "CUDAExecutionProvider": {"max_difference": 0.02, "decision_flips": 0},
            }
        },
        "warmup_runs": 2,
    }
    card = (
        (CARDS / f"{name}.md")
        .read_text(encoding="utf-8")
        .format(parameters=sum(value.numel() for value in network.parameters()), megabytes=len(graph) / 1e6, **fields)
    )
    extra = {LABELS_FILE: ("\n".join(labels) + "\n").encode(), **(files or {})}
    return Version(manifest, graph, extra, golden_cases, card, passed, summary)
