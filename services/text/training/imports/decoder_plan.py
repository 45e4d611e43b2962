"""What an import of a decoder will make, read from the checkpoint's files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.text.training.imports.tokenizers_file import CheckpointTokenizer, read_tokenizer

LARGEST_CONTEXT = 32_768
"""Tokens; the service's own limit is lower by default and can be raised to this."""
# The other ways to stretch rotary positions change with the length of the text, which a graph cannot.
_ROTARY = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True)
class DecoderPlan:
    """How a decoder is fed.

    Attributes:
        layers: number of layers.
        heads: key–value heads of a layer.
        head_width: numbers of a head.
        context_tokens: most tokens of prompt and text together.
        begin_token: put before the prompt; None for nothing.
        end_tokens: any of them ends the text.
    """

    tokenizer: CheckpointTokenizer
    vocabulary: int
    layers: int
    heads: int
    head_width: int
    context_tokens: int
    begin_token: int | None
    end_tokens: Sequence[int]


def plan_decoder(checkpoint: Checkpoint) -> DecoderPlan:
    """Read the checkpoint's files.

    Raises:
        ImportRefused: something is missing or cannot be served.
    """
    config = checkpoint.config
    vocabulary, width = _whole(config, "vocab_size"), _whole(config, "hidden_size", "n_embd")
    heads = _whole(config, "num_attention_heads", "n_head")
    context = _whole(config, "max_position_embeddings", "n_positions")
    # Within the window, attention with a sliding window is attention.
    if _slides(config):
        context = min(context, _whole(config, "sliding_window"))
    rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rotary.get("rope_type", rotary.get("type", "default"))
    if kind not in _ROTARY:
        raise ImportRefused(
            f"rotary positions of type {kind!r} cannot be imported; these can: {', '.join(_ROTARY)}",
            "A checkpoint of the same family with a shorter context often does without.",
        )
    tokenizer = read_tokenizer(checkpoint, vocabulary)
    return DecoderPlan(
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        layers=_whole(config, "num_hidden_layers", "n_layer"),
        heads=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or width // heads,
        context_tokens=min(context, LARGEST_CONTEXT),
        begin_token=tokenizer.begin_token(),
        end_tokens=_end_tokens(checkpoint, vocabulary),
    )


def _slides(config: Any) -> bool:
    layers = config.get("layer_types") or []
    return bool(config.get("sliding_window")) and (
        config.get("use_sliding_window") is True or any(kind != "full_attention" for kind in layers)
    )


def _end_tokens(checkpoint: Checkpoint, vocabulary: int) -> list[int]:
    """Return what ends a text: what the checkpoint's generation settings say, else its configuration."""
    generation = checkpoint.read_json("generation_config.json")
    for settings in (generation, checkpoint.config):
        stated = settings.get("eos_token_id") if settings else None
        tokens = [stated] if isinstance(stated, int) else list(stated or [])
        if found := [token for token in tokens if isinstance(token, int) and 0 <= token < vocabulary]:
            return found
    return []


def _whole(config: Any, *names: str) -> int:
    """Return a positive whole number of the configuration, under the first of the names that it has."""
    for name in names:
        if isinstance(value := config.get(name), int) and value > 0:
            return value
    raise ImportRefused(f"config.json states no {names[0]}")
