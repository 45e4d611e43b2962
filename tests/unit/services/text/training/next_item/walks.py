"""Event sequences for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ITEM_COUNT = 20


@dataclass
class Walks:
    """Users by the rows of their events, oldest first; every event but the first of a user is worth predicting."""

    histories: Sequence[Sequence[int]]

    item_count = ITEM_COUNT

    @property
    def user_count(self) -> int:
        return len(self.histories)

    @property
    def offsets(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(history) for history in self.histories)]).astype(np.int64)

    @property
    def items(self) -> NDArray[np.int64]:
        return np.array([row for history in self.histories for row in history], np.int64)

    @property
    def weights(self) -> NDArray[np.float32]:
        return np.linspace(0.6, 1, len(self.items), dtype=np.float32)

    def first_positive(self) -> NDArray[np.bool_]:
        worth = np.ones(len(self.items), np.bool_)
        worth[self.offsets[:-1]] = False
        return worth


@dataclass
class Histories:
    """Places at which histories start and end."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
