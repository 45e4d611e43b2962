"""Event sequences as padded windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

NO_TARGET = -1


class EventSequences(Protocol):
    """Events of many users, grouped by user, oldest first."""

    @property
    def item_count(self) -> int:
        """Number N of items."""

    @property
    def user_count(self) -> int:
        """Number U of users."""

    @property
    def offsets(self) -> Integers:
        """int64[U + 1]: events of user u are `offsets[u]:offsets[u + 1]`."""

    @property
    def items(self) -> Integers:
        """int64[E]: row of each event's item, below N."""

    @property
    def weights(self) -> Floats:
        """float32[E]: strength of each event, negative for a dislike."""

    def first_positive(self) -> NDArray[np.bool_]:
        """bool[E]: the event is worth predicting."""


class Spans(Protocol):
    """P histories within the events of `EventSequences`."""

    @property
    def starts(self) -> Any:
        """int64[P]: index of the oldest event of each."""

    @property
    def ends(self) -> Any:
        """int64[P]: index after the newest event of each."""


@dataclass(frozen=True)
class Windows:
    """B windows of L places: the start row, then events, then padding that nothing before it can see.

    Attributes:
        rows: int64[B, L]; the start row and padding are N.
        weights: float32[B, L]; 0 at the start and in the padding.
        targets: int64[B, L]: the item after each place, or `NO_TARGET`.
    """

    rows: Integers
    weights: Floats
    targets: Integers

    def take(self, chosen: Integers) -> Windows:
        """Returns the windows that an index array chooses."""
        return Windows(self.rows[chosen], self.weights[chosen], self.targets[chosen])


def training_windows(events: EventSequences, window: int) -> Windows:
    """Cuts every history into windows that overlap by half, so that each event is a target once, and one with at
    least `window // 2` events before it where the user has as many.
    """
    spans = []
    for start, end in zip(events.offsets[:-1].tolist(), events.offsets[1:].tolist(), strict=True):
        stop = end
        while stop - start > 1:
            first = max(start, stop - 1 - window)
            # Targets of the older half belong to the window before, if there is one.
            fresh = first + 1 if first == start else stop - window // 2
            spans.append((first, fresh, stop))
            stop = fresh
            if first == start:
                break
    worth = events.first_positive()
    rows, weights = _padded(events, [(first, stop - 1) for first, _, stop in spans], window)
    targets = np.full(rows.shape, NO_TARGET, np.int64)
    for number, (first, fresh, stop) in enumerate(spans):
        following = np.where(worth[fresh:stop], events.items[fresh:stop], NO_TARGET)
        targets[number, fresh - first : stop - first] = following
    useful = np.flatnonzero((targets != NO_TARGET).any(axis=1))
    return Windows(rows, weights, targets).take(useful)


def history_windows(events: EventSequences, spans: Spans, window: int) -> tuple[Integers, Floats, Integers]:
    """The newest `window` events of each history: rows int64[P, L], weights float32[P, L], and the last place that is
    not padding, int64[P].
    """
    ends = np.asarray(spans.ends)
    starts = np.maximum(np.asarray(spans.starts), ends - window)
    rows, weights = _padded(events, list(zip(starts.tolist(), ends.tolist(), strict=True)), window)
    return rows, weights, (ends - starts).astype(np.int64)


def _padded(events: EventSequences, spans: list[tuple[int, int]], window: int) -> tuple[Integers, Floats]:
    rows = np.full((len(spans), window + 1), events.item_count, np.int64)
    weights = np.zeros((len(spans), window + 1), np.float32)
    for number, (start, end) in enumerate(spans):
        rows[number, 1 : 1 + end - start] = events.items[start:end]
        weights[number, 1 : 1 + end - start] = events.weights[start:end]
    return rows, weights
