"""DETR and YOLOS checkpoints: objects of a picture, each with its box.

Pictures keep their own proportions where the checkpoint was trained so, which is what its processor does with one
picture: the graph takes any height and width, and only pictures of one size share a run, so nothing is ever padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import transformers

from services.runtime.training.imports.card import render_card
from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.exporting import load_network
from services.runtime.training.imports.figures import Figure, Floats, require, summary
from services.runtime.training.imports.importer import ImportedVersion, Precision, Wish
from services.runtime.training.imports.session import opened
from services.runtime.training.imports.steps import Steps
from services.vision.training.imports.comparing import (
    COMPARED,
    Answers,
    converted_answers,
    golden_cases,
    largest_difference,
    original_answers,
    sample_pictures,
)
from services.vision.training.imports.graphs import export_pictures, files_of, manifest_of, shown_labels
from services.vision.training.imports.networks import ObjectFinder
from services.vision.training.imports.plans import plan_detection
from services.vision.training.imports.timm_backbone import native

OUTPUTS = ("scores", "boxes")
MOST_DIFFERENCE: dict[Precision, float] = {"float32": 1e-3, "float16": 0.02, "int8": 0.1}
_TOLERANCE: dict[Precision, float] = {"float32": 2e-3, "float16": 2e-3, "int8": 0.05}
_NEIGHBOUR_DIFFERENCE = 1e-3
_NETWORKS = {
    "DetrForObjectDetection": transformers.DetrForObjectDetection,
    "YolosForObjectDetection": transformers.YolosForObjectDetection,
}
# Boxes of queries that see nothing mean nothing.
_SEEN = 0.1


def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
    """Import a detector; see `Importer.convert`.

    Raises:
        ImportRefused: the checkpoint does not fit, or the graph is too far from it.
    """
    plan = plan_detection(checkpoint)
    with steps("Loading the weights", None), native(checkpoint) as named:
        network = load_network(_NETWORKS[checkpoint.architecture], named)
    module = ObjectFinder(network, plan).eval().requires_grad_(False)
    pictures = sample_pictures(plan.preprocessing)
    reference = original_answers(module, pictures, steps)
    graph, weights = export_pictures(module, OUTPUTS, plan, wish, folder, steps)
    with opened(graph, weights, folder) as session:
        figures = _figures(converted_answers(session, pictures, steps), reference, wish.precision)
    require(figures, wish.precision)
    queries = reference[0].shape[1]
    return ImportedVersion(
        manifest=manifest_of(
            checkpoint,
            wish,
            plan,
            task="object-detection",
            description=f"Objects in pictures by {checkpoint.architecture}, imported.",
            outputs={name: answer.shape[1:] for name, answer in zip(OUTPUTS, reference, strict=True)},
            difference=_TOLERANCE[wish.precision],
        ),
        graph=graph,
        files=files_of(plan, weights),
        golden_cases=golden_cases(plan.preprocessing),
        card=render_card(
            checkpoint,
            wish,
            does=f"Finds objects of {len(plan.labels)} kinds in a picture, at most {queries}, and says where they are.",
            facts={
                "Labels": shown_labels(plan.labels),
                "Pictures": plan.preprocessing.shown,
                "Served by": "`DetectObjects`",
            },
            compared=COMPARED,
            figures=figures,
            graph=graph,
            files=weights,
            limits="The labels mean what the model's makers trained them on.",
        ),
        summary=summary(figures),
    )


def _figures(answers: Answers, reference: Sequence[Floats], precision: Precision) -> list[Figure]:
    scores, boxes = reference
    seen = scores.max(axis=-1) >= _SEEN
    return [
        Figure(
            "largest difference of a score",
            largest_difference(scores, answers.alone[0]),
            most=MOST_DIFFERENCE[precision],
        ),
        Figure(
            f"largest difference of a box's edge, of objects with a score of {_SEEN:g} or more",
            largest_difference(boxes[seen], answers.alone[1][seen]),
            most=MOST_DIFFERENCE[precision],
        ),
        Figure("objects compared", float(np.count_nonzero(seen))),
        Figure(
            "largest difference alone against beside another",
            max(largest_difference(one, other) for one, other in zip(answers.alone, answers.paired, strict=True)),
            most=_NEIGHBOUR_DIFFERENCE,
        ),
    ]
