"""Encoders for vectors: the mean or the first of the token vectors, of length one; served like our own."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from torch import Tensor

from services.runtime.training.imports.card import render_card
from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.exporting import load_network
from services.runtime.training.imports.figures import LEAST_NEIGHBOUR_COSINE, Figure, Floats, cosines, require, summary
from services.runtime.training.imports.importer import ImportedVersion, Precision, Wish
from services.runtime.training.imports.session import opened
from services.runtime.training.imports.steps import Steps
from services.text.training.imports.encoder_plan import EncoderPlan, Pooling, plan_vectors
from services.text.training.imports.encoders import (
    PaddedEncoder,
    converted_answers,
    export_encoder,
    golden_cases,
    manifest_of,
    original_answers,
)
from services.text.training.imports.real_texts import GOLDEN, as_tokens, compared_texts

OUTPUT = "vectors"
# A layer behind the first token that sentence vectors do not use, and that language models are published without.
_UNUSED = ("pooler.",)
LEAST_COSINE: dict[Precision, float] = {"float32": 0.9999, "float16": 0.999, "int8": 0.99}
_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "float16": 1e-3, "int8": 0.02}


class VectorEncoder(PaddedEncoder):
    """`input_ids`, `attention_mask` int64 [B, T] → unit vectors float32 [B, D]; a row without tokens gets zeros."""

    def __init__(self, network: torch.nn.Module, plan: EncoderPlan) -> None:
        super().__init__(network, plan.padding_token)
        self.pooling: Pooling = plan.pooling

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the vectors."""
        tokens = self.read(input_ids, attention_mask).last_hidden_state
        weights = attention_mask.to(tokens.dtype)[:, :, None]
        pooled = (tokens * weights)[:, 0] if self.pooling == "cls" else (tokens * weights).sum(dim=1)
        # The mean has the direction of the sum.
        return torch.nn.functional.normalize(pooled, dim=1)


def convert(checkpoint: Checkpoint, wish: Wish, folder: Path, steps: Steps) -> ImportedVersion:
    """Import an encoder for vectors; see `Importer.convert`.

    Raises:
        ImportRefused: the checkpoint does not fit, or the graph is too far from it.
    """
    plan = plan_vectors(checkpoint)
    with steps("Loading the weights", None):
        network = load_network(transformers.AutoModel, checkpoint, unused=_UNUSED)
    texts = as_tokens(plan.tokenizer.tokenizer, plan.max_tokens)
    reference = original_answers(lambda ids: _original(network, ids, plan.pooling), texts, steps)
    graph, weights = export_encoder(VectorEncoder(network, plan), OUTPUT, plan, wish, folder, steps)
    with opened(graph, weights, folder) as session:
        figures = _figures(*converted_answers(session, texts, steps), reference, wish.precision)
    require(figures, wish.precision)
    files: dict[str, bytes | Path] = {"tokenizer.json": plan.tokenizer.served(), **weights}
    columns = reference.shape[1]
    flips = 2 * GOLDEN
    tolerance = _TOLERANCE[wish.precision]
    stated = "as the checkpoint says" if plan.pooling_stated else "the checkpoint does not say, so this was chosen"
    return ImportedVersion(
        manifest=manifest_of(
            wish,
            plan,
            output=OUTPUT,
            columns=columns,
            task="sentence-vectors",
            description=f"Vectors of texts by {checkpoint.architecture}, imported.",
            license=checkpoint.license,
            source=checkpoint.source,
            golden={
                "tolerance": {
                    "CPUExecutionProvider": {"max_difference": tolerance, "decision_flips": flips},
                    "CUDAExecutionProvider": {"max_difference": max(0.01, tolerance), "decision_flips": flips},
                }
            },
        ),
        graph=graph,
        files=files,
        golden_cases=golden_cases(texts[:GOLDEN]),
        card=render_card(
            checkpoint,
            wish,
            does=f"Turns a text into a unit vector of {columns} numbers. Texts of like meaning lie close together.",
            facts={
                "Pooling": f"{plan.pooling}: {stated}; then divided by its length",
                "Longest text": f"{plan.max_tokens} tokens; longer ones are cut",
                "Served by": "`EmbedText`, `ClassifyText` with the caller's labels",
            },
            compared=compared_texts(),
            figures=figures,
            graph=graph,
            files=weights,
            limits="A prompt that the model wants before a text (`query: `) is the caller's to write.",
        ),
        summary=summary(figures),
    )


def _original(network: torch.nn.Module, ids: Tensor, pooling: Pooling) -> Tensor:
    """Return the vector of one text, computed by the transformers library from nothing but its tokens."""
    tokens = network(input_ids=ids).last_hidden_state[0]
    return torch.nn.functional.normalize(tokens[0] if pooling == "cls" else tokens.mean(dim=0), dim=0)[None]


def _figures(alone: Floats, together: Floats, reference: Floats, precision: Precision) -> list[Figure]:
    found = cosines(alone, reference)
    return [
        Figure("least cosine to the original", float(found.min()), least=LEAST_COSINE[precision]),
        Figure("mean cosine to the original", float(found.mean())),
        Figure(
            "least cosine alone against batched", float(cosines(alone, together).min()), least=LEAST_NEIGHBOUR_COSINE
        ),
    ]
