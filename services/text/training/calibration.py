"""Watches the linear layers of an encoder on calibration texts: ranges and second moments of their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from services.text.training.rounding import Matrix


@dataclass
class Inputs:
    """What one linear layer was given: range of each input, and sum over tokens of outer products."""

    lowest: Matrix
    highest: Matrix
    second_moments: Matrix


def watch_linears(
    encoder: nn.Module, texts: Sequence[Sequence[int]], words: Sequence[Sequence[int]]
) -> dict[str, Inputs]:
    """Runs the encoder on token ids, without padding, and returns each linear layer's inputs by module name.

    `words` (texts of one word) widen the ranges only: alone, a word reaches values that running text never does, but it
    says nothing about which inputs occur together.
    """
    seen: dict[str, Inputs] = {}
    counting = True

    def watch(name: str) -> Any:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            values = arguments[0].double().numpy()
            size = values.shape[1]
            if name not in seen:
                seen[name] = Inputs(np.full(size, np.inf), np.full(size, -np.inf), np.zeros((size, size)))
            inputs = seen[name]
            inputs.lowest = np.minimum(inputs.lowest, values.min(axis=0))
            inputs.highest = np.maximum(inputs.highest, values.max(axis=0))
            if counting:
                inputs.second_moments += values.T @ values

        return hook

    linears = [(name, module) for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    handles = [module.register_forward_pre_hook(watch(name)) for name, module in linears]
    with torch.no_grad():
        for group in (texts, words):
            counting = group is texts
            for tokens in _same_length(group):
                encoder(tokens, torch.ones_like(tokens))
    for handle in handles:
        handle.remove()
    return seen


def _same_length(texts: Sequence[Sequence[int]]) -> Iterator[Tensor]:
    """Yields int64 [texts, tokens], shortest texts first."""
    for _, group in groupby(sorted(texts, key=len), key=len):
        yield torch.tensor([list(ids) for ids in group])
