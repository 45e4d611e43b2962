"""How far an exported graph answers differently from the network it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from services.runtime.training.publish import cpu_session
from services.vision.training.efficientnet_lite import PIXEL_MEAN, PIXEL_SCALE, SIDE

CROPS_A_PICTURE = 40
_BATCH = 16

Floats = np.ndarray[Any, np.dtype[np.float32]]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Answers:
    """float32[N, 1000] probabilities and float32[N, 1280] vectors."""

    probabilities: Floats
    vectors: Floats


@dataclass(frozen=True)
class Difference:
    """Figures of one comparison over `samples` pictures; see `compare`."""

    samples: int
    largest_probability: float
    mean_probability: float
    same_top: float
    same_top_five: float
    least_cosine: float


def augmented_crops(paths: Sequence[Path], seed: int) -> Pixels:
    """Returns uint8[len(paths) * CROPS_A_PICTURE, 224, 224, 3]: random parts, mirrored, brighter or darker."""
    random = np.random.default_rng(seed)
    crops = []
    for path in paths:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        for _ in range(CROPS_A_PICTURE):
            part = min(picture.size) * random.uniform(0.35, 1.0)
            left, top = (random.uniform(0, side - part) for side in picture.size)
            crop = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + part, top + part))
            pixels = np.asarray(crop, dtype=np.float64)[:, :: random.choice((1, -1))] * random.uniform(0.6, 1.4)
            crops.append(pixels.clip(0, 255).astype(np.uint8))
    return np.stack(crops)


def original_answers(network: torch.nn.Module, pixels: Pixels) -> Answers:
    """Runs the authors' network; the vectors are its pooled features, scaled to length one."""
    probabilities, vectors = [], []
    with torch.inference_mode():
        for start in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(pixels[start : start + _BATCH]).permute(0, 3, 1, 2)
            scaled = (batch.float() - PIXEL_MEAN) * PIXEL_SCALE
            features = network.extract_features(scaled).mean(dim=(2, 3))
            probabilities.append(network(scaled).softmax(dim=1).numpy())
            vectors.append(torch.nn.functional.normalize(features, dim=1).numpy())
    return Answers(np.concatenate(probabilities), np.concatenate(vectors))


def graph_answers(graph: bytes, pixels: Pixels) -> Answers:
    """Runs the exported graph one picture at a time, as the service does."""
    session = cpu_session(graph)
    runs = [session.run(["probabilities", "vectors"], {"pixels": picture[None]}) for picture in pixels]
    return Answers(np.concatenate([run[0] for run in runs]), np.concatenate([run[1] for run in runs]))


def compare(expected: Answers, actual: Answers) -> Difference:
    """Compares two sets of answers to the same pictures."""
    gap = np.abs(expected.probabilities.astype(np.float64) - actual.probabilities)
    order, other = (np.argsort(-answers.probabilities, axis=1) for answers in (expected, actual))
    five = [set(row[:5]) == set(other_row[:5]) for row, other_row in zip(order, other, strict=True)]
    return Difference(
        samples=len(gap),
        largest_probability=float(gap.max()),
        mean_probability=float(gap.mean()),
        same_top=float((order[:, 0] == other[:, 0]).mean()),
        same_top_five=float(np.mean(five)),
        least_cosine=float((expected.vectors.astype(np.float64) * actual.vectors).sum(axis=1).min()),
    )
