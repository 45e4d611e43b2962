"""ViT checkpoints: with a head that was trained for labels, or without one, for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import transformers

from services.runtime.training.imports.card import render_card
from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.exporting import load_network
from services.runtime.training.imports.figures import (
    LEAST_NEIGHBOUR_COSINE,
    Figure,
    Floats,
    changed_choices,
    cosines,
    require,
    summary,
)
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
from services.vision.training.imports.networks import PictureNamer, PictureReader
from services.vision.training.imports.plans import PicturePlan, plan_picture_vectors, plan_recognition

MOST_DIFFERENCE: dict[Precision, float] = {"float32": 1e-3, "float16": 0.01, "int8": 0.1}
MOST_FLIPS: dict[Precision, float] = {"float32": 0.0, "float16": 0.0, "int8": 0.06}
LEAST_COSINE: dict[Precision, float] = {"float32": 0.9999, "float16": 0.9999, "int8": 0.99}
_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "float16": 1e-3, "int8": 0.03}


def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
    """Import a ViT; see `Importer.convert`.

    Raises:
        ImportRefused: the checkpoint does not fit, or the graph is too far from it.
    """
    names = checkpoint.architecture == "ViTForImageClassification"
    plan = plan_recognition(checkpoint) if names else plan_picture_vectors(checkpoint)
    with steps("Loading the weights", None):
        if names:
            network = load_network(transformers.ViTForImageClassification, checkpoint)
            module: PictureNamer | PictureReader = PictureNamer(network, plan)
        else:
            # Published with and without a pooler, which nothing is asked of.
            module = PictureReader(load_network(transformers.ViTModel, checkpoint, ("pooler",)), plan)
    module = module.eval().requires_grad_(False)
    pictures = sample_pictures(plan.preprocessing)
    reference = original_answers(module, pictures, steps)
    outputs = ["probabilities", "vectors"] if names else ["vectors"]
    graph, weights = export_pictures(module, outputs, plan, wish, folder, steps)
    with opened(graph, weights, folder) as session:
        figures = _figures(converted_answers(session, pictures, steps), reference, wish.precision)
    require(figures, wish.precision)
    return ImportedVersion(
        manifest=manifest_of(
            checkpoint,
            wish,
            plan,
            task="image-recognition" if names else "image-vectors",
            description=f"{'Labels and vectors' if names else 'Vectors'} of pictures by "
            f"{checkpoint.architecture}, imported.",
            outputs={name: answer.shape[1:] for name, answer in zip(outputs, reference, strict=True)},
            difference=_TOLERANCE[wish.precision],
        ),
        graph=graph,
        files=files_of(plan, weights),
        golden_cases=golden_cases(plan.preprocessing),
        card=_card(checkpoint, wish, plan, figures, graph, weights, reference),
        summary=summary(figures),
    )


def _figures(answers: Answers, reference: Sequence[Floats], precision: Precision) -> list[Figure]:
    vectors, own = answers.alone[-1], reference[-1]
    figures = [
        Figure("least cosine of a vector", float(cosines(own, vectors).min()), least=LEAST_COSINE[precision]),
        Figure(
            "least cosine alone against beside another",
            float(cosines(vectors, answers.paired[-1]).min()),
            least=LEAST_NEIGHBOUR_COSINE,
        ),
    ]
    if len(reference) == 1:
        return figures
    agreement, flips = changed_choices(reference[0], answers.alone[0])
    return [
        Figure(
            "largest difference of a probability",
            largest_difference(reference[0], answers.alone[0]),
            most=MOST_DIFFERENCE[precision],
        ),
        Figure("share of pictures with the same first label", agreement),
        Figure("share whose first label changed by more than 1 %", flips, most=MOST_FLIPS[precision]),
        *figures,
    ]


def _card(
    checkpoint: Checkpoint,
    wish: Wish,
    plan: PicturePlan,
    figures: Sequence[Figure],
    graph: bytes,
    weights: dict[str, Path],
    reference: Sequence[Floats],
) -> str:
    names = bool(plan.labels)
    vectors = f"{reference[-1].shape[1]} dimensions: the class token, to length one"
    return render_card(
        checkpoint,
        wish,
        does=f"Says how probable {len(plan.labels)} labels are for a picture, and gives it a vector."
        if names
        else "Gives a picture a vector of length one.",
        facts={
            **({"Labels": shown_labels(plan.labels)} if names else {}),
            "Vectors": vectors,
            "Pictures": plan.preprocessing.shown,
            "Served by": "`ClassifyImage` and `EmbedImage`" if names else "`EmbedImage`",
        },
        compared=COMPARED,
        figures=figures,
        graph=graph,
        files=weights,
        limits="The labels mean what the model's makers trained them on."
        if names
        else "What the vectors are near to is what the model's makers trained them for.",
    )
