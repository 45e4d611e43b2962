"""The version folders of `word-embedding-sentiment` and `recurrent-sentiment`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from services.runtime.training.publish import cpu_session
from services.text.pipelines.heads import HEADS_FILE, Heads
from services.text.training.parity import feeds
from services.text.training.sentiment.fitting import FittingOptions, Target, fit, predict
from services.text.training.sentiment.graphs import averaging_graph, recurrent_graph
from services.text.training.sentiment.networks import AveragingNetwork, RecurrentNetwork
from services.text.training.understanding.baselines import baseline_table
from services.text.training.understanding.measuring import Flips, flips, sentiment_figures
from services.text.training.understanding.samples import SENTIMENT_SOURCES, film_texts, rated_texts
from services.text.training.version import CARDS, GOLDEN_TEXTS, Version, golden_cases
from services.text.training.word_embedding import MAX_TOKENS, Original, load_original

FLOORS = {"word-embedding-sentiment": 0.74, "recurrent-sentiment": 0.76}


def build_word_embedding_sentiment() -> Version:
    """Fits and measures the averaging network.

    Raises:
        SourceUnavailable: vectors or texts cannot be fetched.
    """
    original = load_original()
    torch.manual_seed(0)
    network = AveragingNetwork(torch.tensor(original.vectors))
    options = FittingOptions(epochs=8, rate=2e-3, table_rate=2e-3, weight_decay=1e-4)
    return _build("word-embedding-sentiment", original, network, options, lambda: averaging_graph(network), inline=True)


def build_recurrent() -> Version:
    """Fits and measures the recurrent network; raises as `build_word_embedding_sentiment`."""
    original = load_original()
    torch.manual_seed(0)
    network = RecurrentNetwork(torch.tensor(original.vectors))
    options = FittingOptions(epochs=5, rate=2e-3, weight_decay=1e-2)
    return _build("recurrent-sentiment", original, network, options, lambda: recurrent_graph(network), inline=False)


def _build(
    name: str,
    original: Original,
    network: nn.Module,
    options: FittingOptions,
    to_graph: Callable[[], onnx.ModelProto],
    *,
    inline: bool,
) -> Version:
    samples = [each for each in rated_texts() if each.split == "train" and each.source in SENTIMENT_SOURCES]
    ids = original.encode([each.text for each in samples])
    targets = [
        Target(tokens, each.rating / 4, float(each.rating > 0)) for tokens, each in zip(ids, samples, strict=True)
    ]
    fit(network, targets, options, lambda epoch: print(f"{name}: epoch {epoch + 1} of {options.epochs}", flush=True))
    graph = to_graph().SerializeToString(deterministic=True)
    held_out = film_texts("test")
    ratings = np.array([each.rating for each in held_out])
    tokens = original.encode([each.text for each in held_out])
    before, after = predict(network, tokens), answers(graph, tokens)
    figures, published = sentiment_figures(before, ratings), sentiment_figures(after, ratings)
    changed = flips(before[:, 1] > 0, after[:, 1] > 0)
    place = "inline" if inline else "engine"
    manifest: dict[str, Any] = {
        "name": name,
        "version": "1",
        "task": "text-understanding",
        "description": {
            "word-embedding-sentiment": "Sentiment from the weighted mean of token vectors: microseconds a text.",
            "recurrent-sentiment": "Sentiment by a bidirectional GRU over static token vectors.",
        }[name],
        "license": "MIT",
        "source": "fitted on PyPI vaderSentiment 3.3.2, from vectors of PyPI wordllama 0.4.0.post1",
        "required": False,
        "inputs": [
            {"name": tensor, "datatype": "INT64", "shape": [-1, -1]} for tensor in ("input_ids", "attention_mask")
        ],
        "outputs": [{"name": "sentiment", "datatype": "FP32", "shape": [-1, 2]}],
        "batching": {"max_batch": 32, "cost_unit": "tokens", "exact_length": False},
        "placement": {"prepare": "inline", "run": place, "finish": "inline"},
        "limits": {"max_tokens": MAX_TOKENS},
        "golden": sentiment_tolerance(),
        "warmup_runs": 2,
    }
    card = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    return Version(
        manifest=manifest,
        graph=graph,
        files={
            "tokenizer.json": original.tokenizer_json,
            HEADS_FILE: Heads(sentiment=True).model_dump_json().encode(),
        },
        golden_cases=golden_cases(original.encode(GOLDEN_TEXTS)),
        card=card.format(
            published=published,
            figures=figures,
            changed=changed,
            megabytes=len(graph) / 1e6,
            baselines=baseline_table(),
        ),
        passed=_passed(published, figures, changed, FLOORS[name]),
        summary=f"F1 {published['f1']:.4f} (float32 {figures['f1']:.4f})  r {published['r']:.4f}  "
        f"flips {changed.share:.2%}  {len(graph) / 1e6:.1f} MB",
    )


def answers(graph: bytes, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Runs a graph on each text alone: float64 [texts, 2]."""
    session = cpu_session(graph)
    return np.concatenate([session.run(["sentiment"], feeds([ids or [0]]))[0] for ids in texts]).astype(np.float64)


def sentiment_tolerance() -> dict[str, Any]:
    """Returns the manifest's `golden`."""
    return {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": 0.02, "decision_flips": 1},
            "CUDAExecutionProvider": {"max_difference": 0.1, "decision_flips": 1},
        }
    }


def _passed(published: dict[str, float], figures: dict[str, float], changed: Flips, floor: float) -> bool:
    close = all(abs(published[name] - figures[name]) <= 0.005 for name in figures)
    return close and changed.share <= 0.01 and published["f1"] >= floor
