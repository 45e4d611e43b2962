"""A causal network of the transformers library in the layout of a served language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from services.runtime.training.imports.exporting import FREE, export_graph
from services.runtime.training.imports.weighted_graph import WeightedGraph
from services.text.training.imports.decoder_plan import DecoderPlan

_ROWS, _PAST, _NEW = 2, 3, 4


def state_names(layers: int) -> list[tuple[str, str]]:
    """Return input and output name of each state: the keys and values of each layer."""
    return [
        (f"past_key_values.{layer}.{part}", f"present.{layer}.{part}")
        for layer in range(layers)
        for part in ("key", "value")
    ]


class CachedDecoder(torch.nn.Module):
    """`input_ids`, `attention_mask`, `position_ids` and the past → logits and the past with the new tokens behind it.

    A token sees what the mask allows of the past, wherever that lies, and of the new tokens those before itself.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, past: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Return logits float32 [B, T, V], then keys and values [B, heads, P + T, width] of each layer."""
        before, new = past[0].shape[2], input_ids.shape[1]
        keys, queries = torch.arange(before + new), torch.arange(new) + before
        visible = (keys[None, :] <= queries[:, None])[None, None] & (attention_mask[:, None, None, :] > 0)
        hidden = torch.where(visible, 0.0, torch.finfo(torch.float32).min)
        cache = DynamicCache(ddp_cache_data=list(zip(past[::2], past[1::2], strict=True)))
        # A mask for each query is taken as it is; of one for each token the library would make such a one itself.
        answer = self.network(
            input_ids=input_ids,
            attention_mask=hidden,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        states = [state for layer in answer.past_key_values.layers for state in (layer.keys, layer.values)]
        return (answer.logits, *states)


def export_decoder(network: torch.nn.Module, plan: DecoderPlan) -> WeightedGraph:
    """Return the graph of a decoder."""
    ids = torch.zeros((_ROWS, _NEW), dtype=torch.int64)
    mask = torch.ones((_ROWS, _PAST + _NEW), dtype=torch.int64)
    positions = torch.arange(_PAST, _PAST + _NEW)[None].expand(_ROWS, -1).contiguous()
    past = [torch.zeros(_ROWS, plan.heads, _PAST, plan.head_width) for _ in range(2 * plan.layers)]
    free: dict[int, Any] = {0: FREE, 1: FREE}
    names = state_names(plan.layers)
    return export_graph(
        CachedDecoder(network),
        (ids, mask, positions, past),
        (free, free, free, [{0: FREE, 2: FREE} for _ in past]),
        ["input_ids", "attention_mask", "position_ids", *(before for before, _ in names)],
        ["logits", *(after for _, after in names)],
    )
