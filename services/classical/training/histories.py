"""Histories of many users at once, as decayed sparse rows over the items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from services.classical.training.dataset import Integers, Interactions


@dataclass(frozen=True)
class Positions:
    """Places in the event arrays at which a history ends.

    Attributes:
        starts: int64[P], index of the oldest event of each history.
        ends: int64[P], index after the newest event; the event at this index, if it is the user's, is the next one.
    """

    starts: Integers
    ends: Integers

    def __len__(self) -> int:
        """Number of positions."""
        return len(self.ends)

    def take(self, chosen: Any) -> Positions:
        """Returns the positions that an index array, mask or slice chooses."""
        return Positions(self.starts[chosen], self.ends[chosen])


def whole_histories(interactions: Interactions) -> Positions:
    """One position a user, after the newest event."""
    return Positions(interactions.offsets[:-1], interactions.offsets[1:])


def next_item_positions(interactions: Interactions) -> Positions:
    """The position before each event that is worth predicting and has at least one event before it."""
    starts = np.repeat(interactions.offsets[:-1], interactions.lengths)
    ends = np.arange(interactions.event_count, dtype=np.int64)
    chosen = interactions.first_positive() & (ends > starts)
    return Positions(starts[chosen], ends[chosen])


def decayed_histories(interactions: Interactions, positions: Positions, decay: float, window: int | None = None) -> Any:
    """Builds the scorers' input: weight × decay^(steps back from the newest event), events of one item added up.

    Args:
        interactions: The events.
        positions: P histories.
        decay: Factor for each step back, above 0, at most 1.
        window: Newest events that count; all when None.

    Returns:
        A float32 scipy CSR matrix [P, N].
    """
    starts, ends = positions.starts, positions.ends
    if window is not None:
        starts = np.maximum(starts, ends - window)
    lengths = ends - starts
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    # Index of every event of every history, and how many steps it lies back from the newest one.
    within = np.arange(pointers[-1]) - np.repeat(pointers[:-1], lengths)
    events = within + np.repeat(starts, lengths)
    back = np.repeat(lengths - 1, lengths) - within
    values = interactions.weights[events] * np.power(np.float32(decay), back.astype(np.float32))
    return scipy.sparse.csr_matrix(
        (values.astype(np.float32), interactions.items[events], pointers),
        shape=(len(ends), interactions.item_count),
    )
