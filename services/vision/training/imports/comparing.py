"""The pictures that an import is compared on, and the comparison of a graph with the network that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from services.runtime.training.imports.figures import Floats
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.steps import Steps
from services.vision.pipelines.image_decoding import decode_shaped
from services.vision.pipelines.picture_shape import BoundedSides, PictureShape, shape_of
from services.vision.training.imports.preprocessing import Preprocessing
from services.vision.training.pictures import PICTURES

Pixels = NDArray[np.uint8]
COMPARED = (
    "the nine real pictures of `tests/data/pictures` (photographs of people, animals, things and places) and their "
    "mirror images"
)
# Golden pictures of a network that takes any size: large enough for every patch and stride, small enough for a file.
_GOLDEN_SHAPE = BoundedSides(longest_side=256, shortest_side=192)
GOLDEN = 2


@dataclass(frozen=True)
class Answers:
    """Outputs of a network in their order, each [pictures, …]; of pictures alone, and of pairs of a size."""

    alone: Sequence[Floats]
    paired: Sequence[Floats]


def sample_pictures(preprocessing: Preprocessing) -> list[Pixels]:
    """Return uint8 [2, H, W, 3] pairs: each picture as the service will read it, and its mirror image.

    Raises:
        ImportRefused: the pictures are missing.
    """
    return [_pair(content, shape_of(preprocessing.limits)) for content in _files()]


def golden_cases(preprocessing: Preprocessing) -> list[dict[str, Pixels]]:
    """Return inputs for the parity check at load: two pictures alone, and one beside its mirror image."""
    shape = shape_of(preprocessing.limits) if preprocessing.fixed else _GOLDEN_SHAPE
    pairs = [_pair(content, shape) for content in _files()[:GOLDEN]]
    return [*({"pixels": pair[:1]} for pair in pairs), {"pixels": pairs[0]}]


def original_answers(answer: Callable[[torch.Tensor], Any], pairs: Sequence[Pixels], steps: Steps) -> list[Floats]:
    """Return what the original says of each picture by itself, output by output."""
    rows = []
    with steps("Asking the original", 2 * len(pairs)) as step, torch.no_grad():
        for pixels in _singles(pairs):
            said = answer(torch.from_numpy(pixels))
            rows.append([part.numpy() for part in (said if isinstance(said, tuple) else (said,))])
            step.advance()
    return _stacked(rows)


def converted_answers(session: onnxruntime.InferenceSession, pairs: Sequence[Pixels], steps: Steps) -> Answers:
    """Return what the graph says of each picture alone and in pairs."""
    with steps("Comparing with the original", 3 * len(pairs)) as step:
        alone = []
        for pixels in _singles(pairs):
            alone.append(session.run(None, {"pixels": pixels}))
            step.advance()
        paired = []
        for pair in pairs:
            paired.append(session.run(None, {"pixels": pair}))
            step.advance()
    return Answers(_stacked(alone), _stacked(paired))


def largest_difference(one: Floats, other: Floats) -> float:
    """Return the largest difference of two arrays of a shape; of empty ones 0."""
    return float(np.abs(one - other).max(initial=0))


def _pair(content: bytes, shape: PictureShape) -> Pixels:
    pixels = decode_shaped(content, shape).pixels
    return np.stack([pixels, np.ascontiguousarray(pixels[:, ::-1])])


def _files() -> list[bytes]:
    files = sorted(PICTURES.glob("*.jpg"))
    if not files:
        raise ImportRefused(
            "the pictures that an import is compared on are missing (tests/data/pictures)",
            "Run the import in a checkout of Marquee's repository.",
        )
    return [path.read_bytes() for path in files]


def _singles(pairs: Sequence[Pixels]) -> list[Pixels]:
    return [pair[row : row + 1] for pair in pairs for row in range(len(pair))]


def _stacked(rows: Sequence[Sequence[Floats]]) -> list[Floats]:
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]
