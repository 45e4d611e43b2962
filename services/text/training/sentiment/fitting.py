"""Fits the small sentiment networks on the mean human ratings."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

MAX_TOKENS = 256


@dataclass(frozen=True)
class FittingOptions:
    """How a network is fitted."""

    epochs: int
    rate: float
    table_rate: float = 0.0
    weight_decay: float = 0.0
    batch: int = 32
    seed: int = 0


@dataclass(frozen=True)
class Target:
    """A text's token ids, its score -1 to 1, the probability that it is positive, and how much it counts."""

    ids: Sequence[int]
    score: float
    positive: float
    weight: float = 1.0


def fit(
    network: nn.Module, targets: Sequence[Target], options: FittingOptions, after_epoch: Callable[[int], None]
) -> None:
    """Fit in place."""
    torch.manual_seed(options.seed)
    tables = [value for name, value in network.named_parameters() if name in ("table", "token_weight")]
    chosen = {id(value) for value in tables}
    others = [value for value in network.parameters() if id(value) not in chosen]
    optimizer = torch.optim.AdamW(
        [{"params": others, "lr": options.rate}, {"params": tables, "lr": options.table_rate}],
        weight_decay=options.weight_decay,
    )
    steps = options.epochs * len(list(_batches(targets, options, 0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [options.rate, max(options.table_rate, 1e-9)], total_steps=steps, pct_start=0.1
    )
    for epoch in range(options.epochs):
        network.train()
        for batch in _batches(targets, options, epoch):
            output = network(*inputs([target.ids for target in batch]))
            score = torch.tensor([target.score for target in batch])
            positive = torch.tensor([target.positive for target in batch])
            weight = torch.tensor([target.weight for target in batch])
            squares = (torch.tanh(output[:, 0]) - score) ** 2
            signs = functional.binary_cross_entropy_with_logits(output[:, 1], positive, reduction="none")
            loss = (weight * (4 * squares + signs)).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        network.eval()
        after_epoch(epoch)


def predict(network: nn.Module, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return the network's outputs, float64 [texts, 2]."""
    answers = np.zeros((len(texts), 2))
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    with torch.no_grad():
        for start in range(0, len(order), 128):
            rows = order[start : start + 128]
            answers[rows] = network(*inputs([texts[row] for row in rows])).double().numpy()
    return answers


def inputs(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return padded ids and mask, int64 [texts, longest]."""
    width = max(1, *map(len, texts))
    ids = torch.zeros((len(texts), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, each in enumerate(texts):
        ids[row, : len(each)] = torch.tensor(list(each), dtype=torch.int64)
        mask[row, : len(each)] = 1
    return ids, mask


def _batches(targets: Sequence[Target], options: FittingOptions, epoch: int) -> Iterator[list[Target]]:
    generator = random.Random(options.seed * 1000 + epoch)
    order = list(range(len(targets)))
    generator.shuffle(order)
    batches = []
    for start in range(0, len(order), 50 * options.batch):
        pool = sorted(order[start : start + 50 * options.batch], key=lambda index: len(targets[index].ids))
        batches += [pool[at : at + options.batch] for at in range(0, len(pool), options.batch)]
    generator.shuffle(batches)
    for batch in batches:
        yield [targets[index] for index in batch]
