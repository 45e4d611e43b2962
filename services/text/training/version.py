"""What a build hands over to be published, and what the manifests of text vector models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.text.training.parity import Parity, TokenIds, feeds

CARDS = Path(__file__).parent / "cards"

GOLDEN_TEXTS = [
    "perfect.",
    "A gorgeous, witty, seductive movie.",
    "Two astronauts stranded on a distant planet must repair their ship before the storm returns.",
    "does your apex dvd player only play dvd audio without video?",
    "The studio released the sequel to its turn-based strategy game in November; reviewers praised the soundtrack and "
    "the writing, players complained about long loading times and a difficulty that rises too steeply in the last act.",
]
"""Films, games and products, from one word to a paragraph."""


@dataclass(frozen=True)
class Version:
    """One built version: manifest without file hashes, graph, other files, golden inputs, card, and what was measured:
    whether it may be published, and a line that says why.
    """

    manifest: Mapping[str, Any]
    graph: bytes
    files: Mapping[str, bytes]
    golden_cases: list[Mapping[str, np.ndarray[Any, Any]]]
    card: str
    passed: bool
    summary: str


def vector_tensors(dimensions: int) -> dict[str, Any]:
    """Returns the manifest's `inputs` and `outputs`."""
    return {
        "inputs": [{"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in ("input_ids", "attention_mask")],
        "outputs": [{"name": "vectors", "datatype": "FP32", "shape": [-1, dimensions]}],
    }


def tolerance(largest_difference: float) -> dict[str, Any]:
    """Returns the manifest's `golden`: how far a machine's answers may be from the stored ones, by provider.

    Nothing is decided by which component of a vector is the largest, so all of them may change place.
    """
    flips = 2 * len(GOLDEN_TEXTS)
    return {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": largest_difference, "decision_flips": flips},
            "CUDAExecutionProvider": {"max_difference": 0.02, "decision_flips": flips},
        }
    }


def parity_line(parity: Parity, graph: bytes) -> str:
    """Says in one line what parity found."""
    return (
        f"texts {parity.texts}  cosine to the original: least {parity.least_cosine:.4f}, "
        f"mean {parity.mean_cosine:.5f}  alone against batched {parity.neighbour_cosine:.7f}  {len(graph) / 1e6:.1f} MB"
    )


def golden_cases(texts: TokenIds) -> list[Mapping[str, np.ndarray[Any, Any]]]:
    """Returns each text alone, then all of them in one padded batch."""
    return [*(feeds([ids]) for ids in texts), feeds(texts)]


def render_card(name: str, parity: Parity, graph: bytes) -> str:
    """Fills the measured figures of this build into the card's template."""
    return (CARDS / f"{name}.md").read_text(encoding="utf-8").format(parity=parity, megabytes=len(graph) / 1e6)
