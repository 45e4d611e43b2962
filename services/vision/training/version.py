"""What a build hands over to be published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CARDS = Path(__file__).parent / "cards"
"""Templates of the cards, filled in with what a build measured."""
LABELS_FILE = "labels.txt"


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
