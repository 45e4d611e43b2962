"""Fits trunk and heads together (multi-task learning: Liu et al. 2019, "Multi-task deep neural networks")."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from services.text.training.understanding.network import UnderstandingNetwork
from services.text.training.understanding.rows import Row

MAX_TOKENS = 96


@dataclass(frozen=True)
class FittingOptions:
    """How the network is fitted; the defaults made the committed model."""

    epochs: int = 3
    batch: int = 32
    trunk_rate: float = 1e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.06
    dropout: float = 0.1
    sentiment_weight: float = 1.0
    emotion_weight: float = 1.0
    toxicity_weight: float = 0.5
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class Encoded:
    """A row with its token ids and, for each token, whether it lies in an offensive word."""

    row: Row
    ids: Sequence[int]
    offensive: Sequence[bool]


def fit(
    network: UnderstandingNetwork,
    tokenizer: Tokenizer,
    rows: Sequence[Row],
    options: FittingOptions,
    after_epoch: Callable[[int], None],
) -> None:
    """Fit in place; prints progress."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    encoded = _encode(tokenizer, rows)
    network.token_table.weight.requires_grad_(requires_grad=False)
    optimizer = _optimizer(network, options)
    steps = options.epochs * len(list(_batches(encoded, options, 0)))
    warmup = max(1, int(options.warmup_share * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup))
    )
    _set_dropout(network, options.dropout)
    begun, done, running = time.monotonic(), 0, 0.0
    for epoch in range(options.epochs):
        network.train()
        for batch in _batches(encoded, options, epoch):
            with torch.autocast("cpu", torch.bfloat16):
                outputs = network(*_inputs(batch))
            loss = _loss(outputs, batch, options)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            running += (float(loss.detach()) - running) / min(done, 100)
            if done % 50 == 0:
                left = (time.monotonic() - begun) / done * (steps - done)
                print(f"step {done} of {steps}  loss {running:.4f}  {left / 60:.0f} min left", flush=True)
        network.eval()
        after_epoch(epoch)


def _loss(outputs: tuple[Tensor, Tensor, Tensor], batch: Sequence[Encoded], options: FittingOptions) -> Tensor:
    sentiment, emotion, toxicity = (output.float() for output in outputs)
    loss = torch.zeros(())
    rated = [index for index, each in enumerate(batch) if each.row.rating is not None]
    if rated:
        ratings = torch.tensor([batch[index].row.rating for index in rated]) / 4
        squares = functional.mse_loss(torch.tanh(sentiment[rated, 0]), ratings)
        signs = functional.binary_cross_entropy_with_logits(sentiment[rated, 1], (ratings > 0).float())
        loss = loss + options.sentiment_weight * (4 * squares + signs) * len(rated) / len(batch) * 2
    felt = [index for index, each in enumerate(batch) if each.row.emotions is not None]
    if felt:
        targets = torch.tensor(np.stack([batch[index].row.emotion_targets() for index in felt]), dtype=torch.float32)
        losses = functional.binary_cross_entropy_with_logits(emotion[felt], targets, reduction="none")
        loss = loss + options.emotion_weight * losses.sum(1).sum() / len(batch)
    targets = torch.tensor(np.stack([each.row.toxicity for each in batch]), dtype=torch.float32)  # type: ignore[misc]
    whole = torch.logsumexp(toxicity, dim=1)
    loss = (
        loss
        + options.toxicity_weight
        * functional.binary_cross_entropy_with_logits(whole, targets, reduction="none").sum(1).mean()
    )
    return loss + 0.1 * options.toxicity_weight * _span_loss(toxicity, batch)


def _span_loss(toxicity: Tensor, batch: Sequence[Encoded]) -> Tensor:
    """Teach the first category where the offensive words stand, in texts that name them."""
    rows = [index for index, each in enumerate(batch) if any(each.offensive)]
    if not rows:
        return torch.zeros(())
    tokens = toxicity.shape[1]
    targets = torch.tensor([[*batch[i].offensive, *([False] * (tokens - len(batch[i].offensive)))] for i in rows])
    real = torch.tensor([[1.0] * len(batch[i].ids) + [0.0] * (tokens - len(batch[i].ids)) for i in rows])
    losses = functional.binary_cross_entropy_with_logits(toxicity[rows, :, 0], targets.float(), reduction="none")
    return (losses * real).sum() / len(batch)


def _encode(tokenizer: Tokenizer, rows: Sequence[Row]) -> list[Encoded]:
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    encoded = []
    for row, encoding in zip(rows, tokenizer.encode_batch([row.text for row in rows]), strict=True):
        lowered = row.text.lower()
        inside = bytearray(len(row.text) + 1)
        for word in row.offensive_words:
            start = lowered.find(word)
            while start >= 0 and len(lowered) == len(row.text):
                inside[start : start + len(word)] = b"\1" * len(word)
                start = lowered.find(word, start + 1)
        encoded.append(
            Encoded(row, encoding.ids, [end > begin and bool(inside[begin]) for begin, end in encoding.offsets])
        )
    return encoded


def _batches(encoded: Sequence[Encoded], options: FittingOptions, epoch: int) -> Iterator[list[Encoded]]:
    """Yield batches of texts of like length, in random order."""
    generator = random.Random(options.seed * 1000 + epoch)
    order = list(range(len(encoded)))
    generator.shuffle(order)
    pools = [order[start : start + 50 * options.batch] for start in range(0, len(order), 50 * options.batch)]
    batches = []
    for pool in pools:
        pool.sort(key=lambda index: len(encoded[index].ids))
        batches += [pool[start : start + options.batch] for start in range(0, len(pool), options.batch)]
    generator.shuffle(batches)
    for batch in batches:
        yield [encoded[index] for index in batch]


def _inputs(batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    width = max(len(each.ids) for each in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for index, each in enumerate(batch):
        ids[index, : len(each.ids)] = torch.tensor(each.ids)
        mask[index, : len(each.ids)] = 1
    return ids, mask


def _set_dropout(network: UnderstandingNetwork, share: float) -> None:
    """Drop outputs of attention and feed-forward while training, without a module in the exported network."""

    def drop(module: nn.Module, _: object, output: Tensor) -> Tensor:
        return functional.dropout(output, share, module.training)

    for name, module in network.named_modules():
        if name.endswith(("attention_output", "feed_forward_output", "input_normalisation")):
            module.register_forward_hook(drop)


def _optimizer(network: UnderstandingNetwork, options: FittingOptions) -> torch.optim.Optimizer:
    heads = [value for name, value in network.named_parameters() if "head" in name or name.startswith("toxicity")]
    chosen = {id(value) for value in heads}
    trunk = [value for value in network.parameters() if value.requires_grad and id(value) not in chosen]
    return torch.optim.AdamW(
        [{"params": trunk, "lr": options.trunk_rate}, {"params": heads, "lr": options.head_rate}],
        weight_decay=options.weight_decay,
    )
