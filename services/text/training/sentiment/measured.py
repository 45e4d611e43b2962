"""What the version folders of all sentiment networks have in common: samples, measurement, manifest, card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from services.runtime.training.publish import cpu_session
from services.text.pipelines.heads import HEADS_FILE, Heads
from services.text.training.parity import feeds
from services.text.training.sentiment.fitting import Target, predict
from services.text.training.understanding.baselines import baseline_table
from services.text.training.understanding.measuring import Flips, flips, sentiment_figures
from services.text.training.understanding.samples import SENTIMENT_SOURCES, film_texts, rated_texts
from services.text.training.version import CARDS, GOLDEN_TEXTS, Version, golden_cases

Encode = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True)
class Identity:
    """Name and description of a model, and the least it must reach on the held-out film-review snippets."""

    name: str
    description: str
    least_f1: float
    least_r: float = 0.0


def training_targets(encode: Encode, slope: float = 0.0) -> list[Target]:
    """Return the texts of the training split of all sources that rate feelings.

    Args:
        encode: texts to token ids.
        slope: of the probability that a text counts as positive, a unit of its mean rating; 0 takes the sign.
    """
    samples = [each for each in rated_texts() if each.split == "train" and each.source in SENTIMENT_SOURCES]
    ids = encode([each.text for each in samples])
    return [
        Target(tokens, each.rating / 4, _positive(each.rating, slope))
        for tokens, each in zip(ids, samples, strict=True)
    ]


def measured_version(
    identity: Identity,
    manifest: Mapping[str, Any],
    encode: Encode,
    tokenizer_json: bytes,
    network: nn.Module,
    graph: bytes,
) -> Version:
    """Return the version of a graph, measured beside the float32 network it was made of.

    Args:
        identity: what it is and must reach.
        manifest: what the model's manifest has of its own.
        encode: texts to token ids.
        tokenizer_json: the tokeniser.
        network: ids and mask int64 [B, T] -> [B, 2].
        graph: what is served.
    """
    held_out = film_texts("test")
    ratings = np.array([each.rating for each in held_out])
    tokens = encode([each.text for each in held_out])
    before, after = predict(network, tokens), answers(graph, tokens)
    figures, published = sentiment_figures(before, ratings), sentiment_figures(after, ratings)
    changed = flips(before[:, 1] > 0, after[:, 1] > 0)
    card = (CARDS / f"{identity.name}.md").read_text(encoding="utf-8")
    return Version(
        manifest={
            "name": identity.name,
            "version": "1",
            "task": "text-understanding",
            "description": identity.description,
            "inputs": [
                {"name": tensor, "datatype": "INT64", "shape": [-1, -1]} for tensor in ("input_ids", "attention_mask")
            ],
            "outputs": [{"name": "sentiment", "datatype": "FP32", "shape": [-1, 2]}],
            "batching": {"max_batch": 32, "cost_unit": "tokens", "exact_length": False},
            "warmup_runs": 2,
            **manifest,
        },
        graph=graph,
        files={"tokenizer.json": tokenizer_json, HEADS_FILE: Heads(sentiment=True).model_dump_json().encode()},
        golden_cases=golden_cases(encode(GOLDEN_TEXTS)),
        card=card.format(
            published=published,
            figures=figures,
            changed=changed,
            megabytes=len(graph) / 1e6,
            baselines=baseline_table(),
        ),
        passed=_passed(identity, published, figures, changed),
        summary=f"F1 {published['f1']:.4f} (float32 {figures['f1']:.4f})  r {published['r']:.4f}  "
        f"flips {changed.share:.2%}  {len(graph) / 1e6:.1f} MB",
    )


def answers(graph: bytes, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Runs a graph on each text alone: float64 [texts, 2]."""
    session = cpu_session(graph)
    return np.concatenate([session.run(["sentiment"], feeds([ids or [0]]))[0] for ids in texts]).astype(np.float64)


def sentiment_tolerance(largest_difference: float) -> dict[str, Any]:
    """Returns the manifest's `golden`."""
    return {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": largest_difference, "decision_flips": 1},
            "CUDAExecutionProvider": {"max_difference": max(0.1, largest_difference), "decision_flips": 1},
        }
    }


def _positive(rating: float, slope: float) -> float:
    return float(1 / (1 + np.exp(-slope * rating))) if slope else float(rating > 0)


def _passed(identity: Identity, published: dict[str, float], figures: dict[str, float], changed: Flips) -> bool:
    close = all(abs(published[name] - figures[name]) <= 0.005 for name in figures)
    enough = published["f1"] >= identity.least_f1 and published["r"] >= identity.least_r
    return close and enough and changed.share <= 0.01
