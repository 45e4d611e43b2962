"""Fits a language model: texts of like length together; Muon for the matrices of layers, AdamW for the rest."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.text.training.language_model.muon import Muon
from services.text.training.language_model.texts import FACTS
from services.text.training.language_model.tokens import Encoded

FACTS_PARTS = 3
"""Each reading of the prose comes with another third of the facts."""
BATCH_TOKENS = 1024
"""Padding included."""
_LEAST_RATE = 0.02


@dataclass(frozen=True)
class FittingOptions:
    """How a network is fitted.

    Attributes:
        steps: batches.
        rate: largest step of AdamW, for tables, gains and, without Muon, everything.
        matrix_rate: largest step of Muon, for the matrices inside the layers; 0 fits them with AdamW.
        warm_up: steps in which the rate rises.
        settle: steps at the end in which it falls, in a line.
    """

    steps: int
    rate: float
    matrix_rate: float = 0.0
    warm_up: int = 60
    settle: int = 600
    seed: int = 0


Report = Callable[[str], None]


def fit(network: nn.Module, texts: Sequence[Encoded], options: FittingOptions, report: Report) -> None:
    """Fit in place; `report` is told the loss in bits a token."""
    torch.manual_seed(options.seed)
    begun, running = time.monotonic(), 0.0
    stepper = Stepper(network, options)
    network.train()
    for step, batch in enumerate(islice(batches(texts, options.seed), options.steps)):
        loss = stepper.step(batch, rate_share(step, options))
        running += (loss - running) / min(step + 1, 50)
        if (step + 1) % 50 == 0:
            took = time.monotonic() - begun
            report(f"step {step + 1} of {options.steps}: {running / math.log(2):.3f} bits a token, {took:.0f} s")
    network.eval()


class Stepper:
    """The optimisers of a network."""

    def __init__(self, network: nn.Module, options: FittingOptions) -> None:
        """Share the parameters out: matrices of layers to Muon, when it is wanted."""
        self._network, self._options = network, options
        inner = [
            value
            for name, value in network.named_parameters()
            if options.matrix_rate and value.ndim == 2 and name != "table"
        ]
        chosen = {id(value) for value in inner}
        self._muon = Muon(inner)
        self._adam = torch.optim.AdamW(
            [value for value in network.parameters() if id(value) not in chosen],
            lr=options.rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=True,
        )

    def step(self, batch: Sequence[Encoded], share: float) -> float:
        """Learn from a batch with this share of the largest rates; return its loss in nats a token."""
        loss = batch_loss(self._network, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        for group in self._adam.param_groups:
            group["lr"] = self._options.rate * share
        self._adam.step()
        self._muon.step(self._options.matrix_rate * share)
        self._adam.zero_grad(set_to_none=True)
        return float(loss.item())


def rate_share(step: int, options: FittingOptions) -> float:
    """Return what share of the largest rates a step takes: up, level, down."""
    rising = (step + 1) / options.warm_up
    falling = (options.steps - step) / options.settle
    return max(_LEAST_RATE, min(1.0, rising, falling))


def batch_loss(network: nn.Module, batch: Sequence[Encoded]) -> Tensor:
    """Return the mean loss of the counted targets of a batch, in nats."""
    width = max(len(each.ids) for each in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.int64)
    targets = torch.full((len(batch), width), -1)
    for row, each in enumerate(batch):
        ids[row, : len(each.ids)] = torch.from_numpy(each.ids)
        targets[row, each.first : len(each.ids)] = torch.from_numpy(each.targets[each.first :])
    counted = targets >= 0
    logits = network(ids)[counted] @ network.get_parameter("table").T
    return functional.cross_entropy(logits, targets[counted])


def batches(texts: Sequence[Encoded], seed: int) -> Iterator[list[Encoded]]:
    """Yield batches without end: texts of like length together, the batches of one reading in a random order."""
    facts = [each for each in texts if each.source == FACTS]
    prose = [each for each in texts if each.source != FACTS]
    for number in count():
        generator = random.Random(seed * 1000 + number)
        chosen = facts[number % FACTS_PARTS :: FACTS_PARTS] + prose
        generator.shuffle(chosen)
        # Some noise, so that texts do not always meet the same others.
        chosen.sort(key=lambda each: len(each.ids) * generator.uniform(0.9, 1.1))
        packed: list[list[Encoded]] = [[]]
        longest = 0
        for each in chosen:
            longest = max(longest, len(each.ids))
            if packed[-1] and longest * (len(packed[-1]) + 1) > BATCH_TOKENS:
                packed.append([])
                longest = len(each.ids)
            packed[-1].append(each)
        generator.shuffle(packed)
        yield from packed
