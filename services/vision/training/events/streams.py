"""The recorded streams of a split, in a file that is mapped into memory: all of them are 4 GB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.vision.training.data.gameplay_clips import (
    FRAMES_PER_SECOND,
    GAMES,
    HEIGHT,
    WIDTH,
    Bytes,
    Floats,
    Labels,
    record,
)

# Streams of each game and their length in seconds.
PLAN = {"train": (6, 240), "validation": (1, 300), "test": (2, 300)}


@dataclass(frozen=True)
class Streams:
    """N streams of S seconds.

    Attributes:
        names: The game of each stream, N of them.
        frames: U8[N, S * 8, H, W, 3].
        counts: F32[N, S, 4], see `gameplay_clips.Counts`.
        labels: I8[N, S, 5], see `gameplay_clips.Clip`.
    """

    names: list[str]
    frames: Bytes
    counts: Floats
    labels: Labels


def streams_of(split: str, folder: Path) -> Streams:
    """Opens the split's streams in `folder`; plays and records them first when they are not there.

    Raises:
        ImportError: They have to be recorded and an emulator is missing.
    """
    frames_file, rest_file = folder / f"{split}_frames.npy", folder / f"{split}.npz"
    if not rest_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        count, seconds = PLAN[split]
        names = [name for name in GAMES for _ in range(count)]
        shape = (len(names), seconds * FRAMES_PER_SECOND, HEIGHT, WIDTH, 3)
        frames = np.lib.format.open_memmap(frames_file, "w+", np.uint8, shape)
        labels, counts = [], []
        for index, name in enumerate(names):
            clip = record(name, split, seconds, index % count)
            frames[index] = clip.frames
            labels.append(clip.labels)
            counts.append(clip.counts)
        frames.flush()
        np.savez(rest_file, names=names, labels=np.stack(labels), counts=np.stack(counts))
    with np.load(rest_file) as rest:
        return Streams(
            [str(name) for name in rest["names"]], np.load(frames_file, mmap_mode="r"), rest["counts"], rest["labels"]
        )
