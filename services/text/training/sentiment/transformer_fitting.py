"""Fits one member of the sentiment Transformer on the mean human ratings."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.text.training.sentiment.fitting import Target, inputs
from services.text.training.sentiment.transformer_network import SentimentTransformer

_SHARE = ("attention_output", "feed_forward_output", "input_normalisation")


@dataclass(frozen=True)
class MemberOptions:
    """How a member is fitted.

    Attributes:
        seed: of the head's start, the order of the texts and dropout.
        rate: largest learning rate of the trunk.
        slope: a text of mean rating r (-4 to 4) counts as positive with probability 1 / (1 + exp(-slope r)); 0 takes
            the sign of r.
    """

    seed: int
    rate: float
    slope: float = 0.0
    epochs: int = 4
    batch: int = 32
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.06
    dropout: float = 0.1


def fit_member(network: SentimentTransformer, targets: Sequence[Target], options: MemberOptions) -> None:
    """Fit in place, with one trunk; prints progress."""
    for name, module in network.named_modules():
        if name.endswith(_SHARE):
            module.register_forward_hook(_dropout(options.dropout))
    optimizer = _optimizer(network, options)
    generator = random.Random(options.seed)
    steps = options.epochs * len(list(_batches(targets, options, generator)))
    warmup = max(1, int(options.warmup_share * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / (steps - warmup)))
    )
    begun, done = time.monotonic(), 0
    network.train()
    for _ in range(options.epochs):
        for batch in _batches(targets, options, generator):
            loss = _loss(network(*inputs([target.ids for target in batch])), batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            if done % 100 == 0:
                left = (time.monotonic() - begun) / done * (steps - done)
                print(f"seed {options.seed}: step {done} of {steps}, {left / 60:.0f} min left", flush=True)
    network.eval()


def _loss(output: Tensor, batch: Sequence[Target]) -> Tensor:
    squares = functional.mse_loss(torch.tanh(output[:, 0]), torch.tensor([target.score for target in batch]))
    signs = functional.binary_cross_entropy_with_logits(
        output[:, 1], torch.tensor([target.positive for target in batch])
    )
    return 4 * squares + signs


def _batches(targets: Sequence[Target], options: MemberOptions, generator: random.Random) -> Iterator[list[Target]]:
    """Yield batches of texts of like length, in random order."""
    order = list(targets)
    generator.shuffle(order)
    pool = 50 * options.batch
    batches: list[list[Target]] = []
    for start in range(0, len(order), pool):
        texts = sorted(order[start : start + pool], key=lambda target: len(target.ids))
        batches += [texts[at : at + options.batch] for at in range(0, len(texts), options.batch)]
    generator.shuffle(batches)
    yield from batches


def _dropout(share: float):  # type: ignore[no-untyped-def]
    """Drop outputs while training, without a module in the exported network."""
    return lambda module, _, output: functional.dropout(output, share, module.training)


def _optimizer(network: SentimentTransformer, options: MemberOptions) -> torch.optim.Optimizer:
    heads = [value for name, value in network.named_parameters() if ".sentiment_head." in name]
    chosen = {id(value) for value in heads}
    trunk = [value for value in network.parameters() if value.requires_grad and id(value) not in chosen]
    return torch.optim.AdamW(
        [{"params": heads, "lr": options.head_rate}, {"params": trunk, "lr": options.rate}],
        weight_decay=options.weight_decay,
    )
