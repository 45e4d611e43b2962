"""Fits the next-item Transformer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from services.text.training.next_item.network import NextItemNetwork
from services.text.training.next_item.options import NextItemOptions
from services.text.training.next_item.scorer import NextItemTransformer
from services.text.training.next_item.sequences import NO_TARGET, EventSequences, Windows, training_windows


def fit_next_item(
    events: EventSequences,
    options: NextItemOptions,
    seed: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> NextItemTransformer:
    """Learns to predict each event from those before it: cross-entropy over the full catalogue, AdamW (Loshchilov and
    Hutter, ICLR 2019).

    Runs on one thread, so that the same data, options and seed give the same weights whatever the number of cores.

    Args:
        events: Of all users.
        options: Sizes and training options.
        seed: Seeds first values, order and dropout.
        progress: Called with the share done, 0 to 1.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    network = NextItemNetwork(events.item_count, options, generator)
    windows = training_windows(events, options.window)
    batches = -(-len(windows.rows) // options.batch)
    epochs = max(options.epochs, -(-options.minimum_steps // batches)) if batches else 0
    steps = epochs * batches
    optimizer = _optimizer(network, options)
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(windows.rows), generator=generator).numpy()
        place = step % batches * options.batch
        rate = options.learning_rate * min(1, (step + 1) / options.warm_up) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        _loss(network, windows.take(order[place : place + options.batch])).backward()
        optimizer.step()
        progress((step + 1) / steps)
    return NextItemTransformer(parameter_arrays(network), options)


def _loss(network: NextItemNetwork, windows: Windows) -> torch.Tensor:
    targets = torch.from_numpy(windows.targets)
    users = network(torch.from_numpy(windows.rows), torch.from_numpy(windows.weights))
    wanted = targets != NO_TARGET
    logits = network.dropout(users[wanted]) @ network.candidates.T
    return nn.functional.cross_entropy(logits, targets[wanted])


def _optimizer(network: NextItemNetwork, options: NextItemOptions) -> torch.optim.Optimizer:
    named = list(network.parameters())
    return torch.optim.AdamW(
        [
            {"params": [one for one in named if one.ndim > 1], "weight_decay": options.weight_decay},
            {"params": [one for one in named if one.ndim == 1], "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
    )


def parameter_arrays(network: NextItemNetwork) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """The parameters by name; slopes as what logits are multiplied by, which is what serves."""
    arrays = {name: values.detach().numpy().copy() for name, values in network.named_parameters()}
    return {name: np.exp(values) if name.endswith("slopes") else values for name, values in arrays.items()}
