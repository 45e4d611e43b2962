"""Fits a Vision Transformer on pictures in memory, one processor core, in a pass that can be taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.runtime.sources import DataSettings
from services.vision.training.vision_transformer.network import VisionTransformer

Pixels = NDArray[np.uint8]
Classes = NDArray[np.int64]
_BATCH_OF_ANSWERS = 250


@dataclass(frozen=True)
class FittingOptions:
    """How a network is fitted."""

    epochs: int
    rate: float
    batch: int = 100
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    average_steps: int = 400
    """The network kept is a running mean of the fitted one over about so many steps."""
    seed: int = 0
    warm_up: float = 0.2
    """Share of the steps in which the rate rises."""


@dataclass(frozen=True)
class Pictures:
    """uint8[N, S, S, C] pictures and the int64[N] classes."""

    pixels: Pixels
    classes: Classes

    def __len__(self) -> int:
        return len(self.classes)

    def chosen(self, rows: NDArray[Any]) -> Pictures:
        """Returns the rows asked for, in that order."""
        return Pictures(self.pixels[rows], self.classes[rows])


Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Maps uint8 [B, S, S, C] to changed pictures of the same shape."""


def fit(
    network: VisionTransformer,
    pictures: Pictures,
    validation: Pictures,
    options: FittingOptions,
    augment: Augmentation,
    name: str,
) -> float:
    """Fit in place; returns the accuracy on the validation pictures, which decides nothing here.

    The state after each epoch is kept in the data folder below `name`; a fit that was cut off goes on from there, and
    one that was completed is used again.
    """
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    network.to(memory_format=torch.channels_last)
    steps = len(pictures) // options.batch
    decayed = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=options.rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, total_steps=options.epochs * steps, pct_start=options.warm_up, cycle_momentum=False
    )
    average = torch.optim.swa_utils.AveragedModel(
        network,
        avg_fn=lambda mean, value, count: mean + (value - mean) / min(int(count) + 1, options.average_steps),
        use_buffers=True,
    )
    parts = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    kept = DataSettings().data_directory / "training" / f"{name}.pt"
    for epoch in range(_restored(kept, parts), options.epochs):
        start, loss = (
            time.process_time(),
            _epoch(network, average, pictures, options, augment, optimizer, schedule, epoch),
        )
        _keep(kept, parts, epoch + 1)
        found = accuracy(average.module, validation)
        seconds = time.process_time() - start
        print(f"{name} epoch {epoch + 1}: loss {loss:.4f}, validation {found:.4f}, {seconds:.0f} s", flush=True)
    network.load_state_dict(average.module.state_dict())
    network.eval()
    return accuracy(network, validation)


def _epoch(
    network: VisionTransformer,
    average: torch.optim.swa_utils.AveragedModel,
    pictures: Pictures,
    options: FittingOptions,
    augment: Augmentation,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    epoch: int,
) -> float:
    network.train()
    generator = torch.Generator().manual_seed(options.seed * 1000 + epoch)
    order = torch.randperm(len(pictures), generator=generator).numpy()
    losses = 0.0
    steps = len(pictures) // options.batch
    for step in range(steps):
        batch = pictures.chosen(np.sort(order[step * options.batch : (step + 1) * options.batch]))
        planes = network.planes(augment(torch.from_numpy(batch.pixels), generator))
        logits = network.logits(planes.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(
            logits, torch.from_numpy(batch.classes), label_smoothing=options.label_smoothing
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        losses += float(loss.detach())
    return losses / steps


def accuracy(network: nn.Module, pictures: Pictures) -> float:
    """Returns the share of pictures whose most probable class is theirs."""
    return float((answers(network, pictures.pixels)[0].argmax(1) == pictures.classes).mean())


def answers(network: nn.Module, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the network's probabilities float32[N, classes] and vectors float32[N, D]."""
    network.eval()
    with torch.inference_mode():
        found: list[tuple[Tensor, Tensor]] = [
            network(torch.from_numpy(pixels[start : start + _BATCH_OF_ANSWERS]))
            for start in range(0, len(pixels), _BATCH_OF_ANSWERS)
        ]
    probabilities, vectors = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return probabilities, vectors


def _restored(kept: Path, parts: dict[str, Any]) -> int:
    if not kept.exists():
        return 0
    state = torch.load(kept, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["epochs"])


def _keep(kept: Path, parts: dict[str, Any], epochs: int) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    torch.save({"epochs": epochs, **{name: part.state_dict() for name, part in parts.items()}}, partial)
    partial.replace(kept)
