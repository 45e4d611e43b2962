"""Encoders with a head that was trained for labels: the probabilities of those labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor

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
from services.text.training.imports.encoder_plan import EncoderPlan, plan_classifier
from services.text.training.imports.encoders import (
    PaddedEncoder,
    converted_answers,
    export_encoder,
    golden_cases,
    manifest_of,
    original_answers,
)
from services.text.training.imports.real_texts import GOLDEN, as_tokens, compared_texts

OUTPUT = "probabilities"
LABELS_FILE = "labels.txt"
MOST_DIFFERENCE: dict[Precision, float] = {"float32": 1e-3, "float16": 0.01, "int8": 0.1}
MOST_FLIPS: dict[Precision, float] = {"float32": 0.0, "float16": 0.0, "int8": 0.02}
_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "float16": 1e-3, "int8": 0.03}


class LabelEncoder(PaddedEncoder):
    """`input_ids`, `attention_mask` int64 [B, T] → probabilities float32 [B, L]."""

    def __init__(self, network: torch.nn.Module, plan: EncoderPlan) -> None:
        super().__init__(network, plan.padding_token)
        self.several = plan.several

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the probabilities."""
        return _probabilities(self.read(input_ids, attention_mask).logits, self.several)


def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
    """Import a classifier; see `Importer.convert`.

    Raises:
        ImportRefused: the checkpoint does not fit, or the graph is too far from it.
    """
    plan = plan_classifier(checkpoint)
    with steps("Loading the weights", None):
        network = load_network(transformers.AutoModelForSequenceClassification, checkpoint)
    texts = as_tokens(plan.tokenizer.tokenizer, plan.max_tokens)
    reference = original_answers(lambda ids: _probabilities(network(input_ids=ids).logits, plan.several), texts, steps)
    graph, weights = export_encoder(LabelEncoder(network, plan), OUTPUT, plan, wish, folder, steps)
    with opened(graph, weights, folder) as session:
        figures = _figures(*converted_answers(session, texts, steps), reference, wish.precision)
    require(figures, wish.precision)
    tolerance = _TOLERANCE[wish.precision]
    labels = "".join(f"{label}\n" for label in plan.labels)
    files: dict[str, bytes | Path] = {
        "tokenizer.json": plan.tokenizer.served(),
        LABELS_FILE: labels.encode(),
        **weights,
    }
    shown = ", ".join(plan.labels[:20]) + (f" and {len(plan.labels) - 20} more" if len(plan.labels) > 20 else "")
    return ImportedVersion(
        manifest=manifest_of(
            wish,
            plan,
            output=OUTPUT,
            columns=len(plan.labels),
            task="text-classification",
            description=f"Labels of texts by {checkpoint.architecture}, imported.",
            license=checkpoint.license,
            source=checkpoint.source,
            labels=LABELS_FILE,
            golden={
                "tolerance": {
                    # Random rounding may change the first of two labels that are equally probable.
                    "CPUExecutionProvider": {"max_difference": tolerance, "decision_flips": GOLDEN},
                    "CUDAExecutionProvider": {"max_difference": max(0.01, tolerance), "decision_flips": GOLDEN},
                }
            },
        ),
        graph=graph,
        files=files,
        golden_cases=golden_cases(texts[:GOLDEN]),
        card=render_card(
            checkpoint,
            wish,
            does=f"Says how probable {len(plan.labels)} labels are for a text.",
            facts={
                "Labels": shown,
                "Probabilities": "of each label by itself"
                if plan.several
                else "of the labels together, which sum to 1",
                "Longest text": f"{plan.max_tokens} tokens; longer ones are cut",
                "Served by": "`ClassifyText` without labels",
            },
            compared=compared_texts(),
            figures=figures,
            graph=graph,
            files=weights,
            limits="The labels mean what the model's makers trained them on.",
        ),
        summary=summary(figures),
    )


def _probabilities(logits: Tensor, several: bool) -> Tensor:
    return torch.sigmoid(logits) if several else torch.softmax(logits, dim=1)


def _figures(alone: Floats, together: Floats, reference: Floats, precision: Precision) -> list[Figure]:
    agreement, flips = changed_choices(reference, alone)
    return [
        Figure(
            "largest difference of a probability",
            float(np.abs(alone - reference).max()),
            most=MOST_DIFFERENCE[precision],
        ),
        Figure("share of texts with the same first label", agreement),
        Figure("share whose first label changed by more than 1 %", flips, most=MOST_FLIPS[precision]),
        Figure(
            "least cosine alone against batched", float(cosines(alone, together).min()), least=LEAST_NEIGHBOUR_COSINE
        ),
    ]
