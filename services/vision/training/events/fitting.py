"""Fits the recurrent network and, for the same processor time, the same backbone on a stack of frames.

The recurrent network reads six streams side by side in stretches of four seconds; when their turn comes again, they go
on with the memory they had (truncated backpropagation through time). The stack is given seconds in random order, which
is how a backbone learns fastest: the recurrent network begins as the stack, half-way through its fit, and the time of
that half is counted as its own too. Both see every label of every second; what the emulator does not tell
is left out of the loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from services.vision.training.data.gameplay_clips import FRAMES_PER_SECOND, UNKNOWN, Bytes, Floats, Labels
from services.vision.training.events.highlights import scales, with_highlights
from services.vision.training.events.networks import GRID, OUTPUTS, STATE_CHANNELS, RecurrentEvents, StackedEvents
from services.vision.training.events.streams import Streams

SEED = 7
STREAMS, STRETCH_SECONDS = 6, 4
STACKS = 48
RECURRENT_RATE, STACK_RATE = 1e-3, 3e-3
WEIGHT_DECAY, LARGEST_GRADIENT, WARMUP_PART = 1e-2, 1.0, 0.05
# A stream's memory is cleared now and then, because a service starts without one.
CLEARED_PART = 0.1
SAVED_EVERY = 100

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Fitted:
    """A network and the processor seconds that its fit took."""

    network: Any
    seconds: float


def targets_of(streams: Streams, training: Streams) -> Labels:
    """Returns I8[N, S, 6]: the events and the highlight, which is on the scale of the training streams."""
    return with_highlights(streams, scales(training.names, training.counts))


def fit_recurrent(streams: Streams, epochs: float, checkpoint: Path, begun: Path | None = None) -> Fitted:
    """Fits the served network; goes on from `checkpoint` when there is one, and keeps writing it.

    Args:
        streams: What is learnt from.
        epochs: How many times.
        checkpoint: File.
        begun: Checkpoint of a stack that it begins as; the seconds of that count as its own.
    """
    torch.manual_seed(SEED)
    network = RecurrentEvents()
    earlier = 0.0
    if begun is not None:
        saved = torch.load(begun)
        stack = StackedEvents()
        stack.load_state_dict(saved["network"])
        network.begin_with(stack)
        earlier = saved["seconds"]
    network = network.to(memory_format=torch.channels_last)
    targets = targets_of(streams, streams)
    random = np.random.default_rng(SEED)
    fit = _Fit(network, int(epochs * targets[..., 0].size / (STREAMS * STRETCH_SECONDS)), checkpoint, RECURRENT_RATE)
    states = torch.zeros(len(targets), STATE_CHANNELS, *GRID)
    for step, (rows, starts, cleared) in zip(
        range(fit.steps), _stretches(len(targets), targets.shape[1], random), strict=False
    ):
        if step < fit.done:
            continue
        frames, wanted = _cut(streams.frames, targets, rows, starts)
        state = states[rows] * torch.from_numpy(~cleared).view(-1, 1, 1, 1)
        logits, state = network(torch.from_numpy(frames), state)
        states[rows] = state.detach()
        fit.step(_loss(logits, torch.from_numpy(wanted)))
    return Fitted(network.eval(), earlier + fit.seconds)


def fit_stack(
    streams: Streams, seconds: float, frames: int, checkpoint: Path, kept: tuple[float, Path] | None = None
) -> Fitted:
    """Fits the same backbone on the last `frames` frames of a second.

    Args:
        streams: What is learnt from.
        seconds: Processor time.
        frames: Length of the stack.
        checkpoint: File, from which it goes on when there is one.
        kept: After how many seconds the checkpoint is copied, and where to: what `fit_recurrent` begins with.
    """
    torch.manual_seed(SEED)
    network = StackedEvents(frames).to(memory_format=torch.channels_last)
    targets = targets_of(streams, streams)
    random = np.random.default_rng(SEED)
    fit = _Fit(network, None, checkpoint, STACK_RATE, seconds)
    while fit.seconds < seconds:
        if kept is not None and fit.seconds >= kept[0] and not kept[1].exists():
            fit.save(kept[1])
        rows = random.integers(0, len(targets), STACKS)
        at = random.integers(0, targets.shape[1], len(rows))
        stacks = last_frames(streams.frames, rows, at, frames)
        fit.step(_loss(network(torch.from_numpy(stacks)), torch.from_numpy(targets[rows, at])))
    return Fitted(network.eval(), fit.seconds)


def last_frames(frames: Bytes, rows: Any, seconds: Any, count: int) -> Bytes:
    """Returns U8[K, count, H, W, 3]: the last frames of the given seconds of the given streams."""
    ends = (np.asarray(seconds) + 1) * FRAMES_PER_SECOND
    return np.stack([frames[row, end - count : end] for row, end in zip(rows, ends, strict=True)])


class _Fit:
    """AdamW with a warm-up and a cosine, over a number of steps or of processor seconds."""

    def __init__(
        self, network: nn.Module, steps: int | None, checkpoint: Path, rate: float, budget: float = 0.0
    ) -> None:
        self._network, self._checkpoint, self._rate, self._budget = network, checkpoint, rate, budget
        self.steps = steps or 0
        self.done, self.seconds = 0, 0.0
        self._optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=WEIGHT_DECAY)
        if checkpoint.exists():
            saved = torch.load(checkpoint)
            network.load_state_dict(saved["network"])
            self._optimiser.load_state_dict(saved["optimiser"])
            self.done, self.seconds = saved["done"], saved["seconds"]
        network.train()
        self._clock = time.process_time()
        self._losses: list[float] = []

    def step(self, loss: Tensor) -> None:
        """One update, at the rate of its place in the fit."""
        part = self.done / self.steps if self.steps else min(self.seconds / self._budget, 1.0)
        rate = self._rate * min(1.0, (part + 1e-3) / WARMUP_PART) * 0.5 * (1 + math.cos(math.pi * part))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        self._optimiser.step()
        now = time.process_time()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        self.done += 1
        self._losses.append(float(loss.detach()))
        ended = self.done == self.steps if self.steps else self.seconds >= self._budget
        if self.done % SAVED_EVERY == 0 or ended:
            self.save(self._checkpoint)

    def save(self, file: Path) -> None:
        """Writes the network and everything that is needed to go on."""
        mean = float(np.mean(self._losses or [0.0]))
        print(f"{type(self._network).__name__}: {self.done} steps, {self.seconds:.0f} s, loss {mean:.4f}", flush=True)
        self._losses.clear()
        saved = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "done": self.done,
            "seconds": self.seconds,
        }
        part = file.with_suffix(".part")
        torch.save(saved, part)
        part.replace(file)


def _stretches(
    streams: int, seconds: int, random: np.random.Generator
) -> Iterator[tuple[Indices, Indices, np.ndarray[Any, np.dtype[np.bool_]]]]:
    """Yields six streams, where each of them goes on, and which of their memories are cleared.

    Each stream goes on where it was left, but not at once: a step that follows another one sees other games.
    """
    at = random.integers(0, seconds // STRETCH_SECONDS, streams) * STRETCH_SECONDS
    fresh = np.ones(streams, bool)
    waiting = np.empty(0, np.int64)
    while True:
        if len(waiting) < STREAMS:
            waiting = np.concatenate([waiting, np.setdiff1d(random.permutation(streams), waiting, assume_unique=True)])
        rows, waiting = waiting[:STREAMS], waiting[STREAMS:]
        starts = at[rows]
        yield rows, starts, fresh[rows] | (random.random(STREAMS) < CLEARED_PART)
        at[rows] = starts + STRETCH_SECONDS
        fresh[rows] = at[rows] + STRETCH_SECONDS > seconds
        at[fresh] = 0


def _cut(frames: Bytes, targets: Labels, rows: Indices, starts: Indices) -> tuple[Bytes, Labels]:
    spans = [(row, slice(start, start + STRETCH_SECONDS)) for row, start in zip(rows, starts, strict=True)]
    cut = np.stack([frames[row, span.start * FRAMES_PER_SECOND : span.stop * FRAMES_PER_SECOND] for row, span in spans])
    return cut.reshape(len(rows), STRETCH_SECONDS, FRAMES_PER_SECOND, *cut.shape[2:]), np.stack(
        [targets[span] for span in spans]
    )


def _loss(logits: Tensor, wanted: Tensor) -> Tensor:
    known = wanted != UNKNOWN
    losses = nn.functional.binary_cross_entropy_with_logits(logits, wanted.clamp(min=0).float(), reduction="none")
    return (losses * known).sum() / known.sum()


def recurrent_answers(network: Any, frames: Bytes) -> Floats:
    """Returns probabilities F32[S, 6] for one stream U8[S * 8, H, W, 3], read from its start."""
    state = torch.zeros(1, STATE_CHANNELS, *GRID)
    answers = []
    with torch.no_grad():
        for second in frames.reshape(-1, FRAMES_PER_SECOND, *frames.shape[1:]):
            logits, state = network(torch.from_numpy(second.copy())[None, None], state)
            answers.append(torch.sigmoid(logits[0, 0]).numpy())
    return np.stack(answers)


def stack_answers(network: Any, frames: Bytes, both_halves: bool = False) -> Floats:
    """Returns probabilities F32[S, 6] for one stream, each second from its last frames alone.

    Args:
        network: The fitted stack.
        frames: U8[S * 8, H, W, 3].
        both_halves: Asks a second time, about the frames before those, and takes the larger answer.
    """
    seconds = len(frames) // FRAMES_PER_SECOND
    answers = np.zeros((seconds, OUTPUTS), np.float32)
    with torch.no_grad():
        for start in range(0, seconds, 50):
            at = np.arange(start, min(start + 50, seconds))
            stacks = last_frames(frames[None], np.zeros(len(at), int), at, FRAMES_PER_SECOND)
            for end in (FRAMES_PER_SECOND, FRAMES_PER_SECOND - network.frames)[: 1 + both_halves]:
                stack = torch.from_numpy(stacks[:, end - network.frames : end].copy())
                answers[at] = np.maximum(answers[at], torch.sigmoid(network(stack)).numpy())
    return answers
