"""The version folders of the small sentiment networks: `word-embedding-sentiment` and `recurrent-sentiment`."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import torch
from torch import nn

from services.text.training.sentiment.fitting import FittingOptions, fit
from services.text.training.sentiment.graphs import averaging_graph, recurrent_graph
from services.text.training.sentiment.measured import (
    Identity,
    measured_version,
    sentiment_tolerance,
    training_targets,
)
from services.text.training.sentiment.networks import AveragingNetwork, RecurrentNetwork
from services.text.training.version import Version
from services.text.training.word_embedding import MAX_TOKENS, Original, load_original


def build_word_embedding_sentiment() -> Version:
    """Fits and measures the averaging network.

    Raises:
        SourceUnavailable: vectors or texts cannot be fetched.
    """
    original = load_original()
    torch.manual_seed(0)
    network = AveragingNetwork(torch.tensor(original.vectors))
    options = FittingOptions(epochs=8, rate=2e-3, table_rate=2e-3, weight_decay=1e-4)
    identity = Identity(
        "word-embedding-sentiment", "Sentiment from the weighted mean of token vectors: microseconds a text.", 0.74
    )
    return _build(identity, original, network, options, lambda: averaging_graph(network), place="inline")


def build_recurrent() -> Version:
    """Fits and measures the recurrent network; raises as `build_word_embedding_sentiment`."""
    original = load_original()
    torch.manual_seed(0)
    network = RecurrentNetwork(torch.tensor(original.vectors))
    options = FittingOptions(epochs=5, rate=2e-3, weight_decay=1e-2)
    identity = Identity("recurrent-sentiment", "Sentiment by a bidirectional GRU over static token vectors.", 0.76)
    return _build(identity, original, network, options, lambda: recurrent_graph(network), place="engine")


def _build(
    identity: Identity,
    original: Original,
    network: nn.Module,
    options: FittingOptions,
    to_graph: Callable[[], onnx.ModelProto],
    *,
    place: str,
) -> Version:
    def say(epoch: int) -> None:
        print(f"{identity.name}: epoch {epoch + 1} of {options.epochs}", flush=True)

    fit(network, training_targets(original.encode), options, say)
    graph = to_graph().SerializeToString(deterministic=True)
    manifest = {
        "license": "MIT",
        "source": "fitted on PyPI vaderSentiment 3.3.2, from vectors of PyPI wordllama 0.4.0.post1",
        "required": False,
        "placement": {"prepare": "inline", "run": place, "finish": "inline"},
        "limits": {"max_tokens": MAX_TOKENS},
        "golden": sentiment_tolerance(0.02),
    }
    return measured_version(identity, manifest, original.encode, original.tokenizer_json, network, graph)
