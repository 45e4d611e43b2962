"""Interactions: the events of a tenant as arrays, grouped by user, oldest first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.classical.training.options import LARGEST_CATALOGUE

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]
Times = NDArray[np.float64]


class CatalogueTooLarge(ValueError):
    """The catalogue has more items than a bundle can hold."""


class Event(NamedTuple):
    """One event as the store exports it.

    Attributes:
        user_id: The user.
        item_id: The item.
        time: Seconds since 1970, when it happened.
        weight: Strength: 1 is a plain positive signal, negative a dislike. For ratings of 1 to 5,
            `0.5 + rating / 10` was best on MovieLens-100K.
        sequence: Position in the store's log; breaks ties of `time`.
    """

    user_id: str
    item_id: str
    time: float
    weight: float = 1.0
    sequence: int = 0


@dataclass(frozen=True)
class Interactions:
    """Events sorted by (user, time, sequence).

    Attributes:
        item_ids: Item id of each row, N of them; items without events included.
        user_ids: User id of each user, U of them, sorted.
        offsets: int64[U + 1]; events of user u are `offsets[u]:offsets[u + 1]`, oldest first.
        items: int64[E], row of each event's item.
        weights: float32[E], strength of each event.
        times: float64[E], seconds since 1970.
        sequences: int64[E], position in the store's log.
    """

    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    offsets: Integers
    items: Integers
    weights: Floats
    times: Times
    sequences: Integers

    @classmethod
    def from_events(cls, events: Iterable[Event], item_ids: Sequence[str]) -> Interactions:
        """Reads events in any order.

        Events of items that are not in `item_ids` (deleted since, for example) are skipped.

        Args:
            events: The events, each once.
            item_ids: The catalogue, without repeats; its order gives the rows.

        Raises:
            CatalogueTooLarge: There are more than `LARGEST_CATALOGUE` items.
            ValueError: The catalogue is empty, repeats an item or has an id with a line break, or a time or weight
                is not finite.
        """
        check_catalogue(item_ids)
        rows = {item_id: row for row, item_id in enumerate(item_ids)}
        known = [event for event in events if event.item_id in rows]
        user_ids = sorted({event.user_id for event in known})
        users = {user_id: number for number, user_id in enumerate(user_ids)}
        user = np.array([users[event.user_id] for event in known], np.int64)
        item = np.array([rows[event.item_id] for event in known], np.int64)
        time = np.array([event.time for event in known], np.float64)
        weight = np.array([event.weight for event in known], np.float32)
        sequence = np.array([event.sequence for event in known], np.int64)
        if not (np.isfinite(time).all() and np.isfinite(weight).all()):
            raise ValueError("the time and the weight of every event must be finite numbers")
        order = np.lexsort((sequence, time, user))
        counts = np.bincount(user, minlength=len(user_ids))
        return cls(
            item_ids=tuple(item_ids),
            user_ids=tuple(user_ids),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=item[order],
            weights=weight[order],
            times=time[order],
            sequences=sequence[order],
        )

    @property
    def item_count(self) -> int:
        """Number of items, those without events included."""
        return len(self.item_ids)

    @property
    def user_count(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    @property
    def event_count(self) -> int:
        """Number of events."""
        return len(self.items)

    @property
    def lengths(self) -> Integers:
        """int64[U], number of events of each user."""
        return np.diff(self.offsets)

    @property
    def users(self) -> Integers:
        """int64[E], user of each event."""
        return np.repeat(np.arange(self.user_count), self.lengths)

    @property
    def watermark(self) -> int:
        """Highest sequence among the events; 0 without events."""
        return int(self.sequences.max(initial=0))

    def sha256(self) -> str:
        """Returns a hash of everything a fit reads: ids, order, weights, times."""
        digest = hashlib.sha256("\n".join([*self.item_ids, "", *self.user_ids]).encode())
        for array in (self.offsets, self.items, self.weights, self.times, self.sequences):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def with_shuffled_ties(self, seed: int) -> Interactions:
        """Returns the events with those of one user at one time in a random order (and new sequences).

        A log whose times are coarse says nothing about the order within one second; a figure that depends on it is
        reported as the mean over several seeds.
        """
        order = np.lexsort((np.random.default_rng(seed).random(self.event_count), self.times, self.users))
        return replace(
            self,
            items=self.items[order],
            weights=self.weights[order],
            sequences=np.arange(1, self.event_count + 1, dtype=np.int64),
        )

    def without_newest(self, counts: Integers | int) -> Interactions:
        """Returns the events without the newest `counts` of each user; users keep their numbers."""
        drop = np.minimum(np.broadcast_to(np.asarray(counts, np.int64), self.user_count), self.lengths)
        kept = np.arange(self.event_count) < np.repeat(self.offsets[1:] - drop, self.lengths)
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(self.lengths - drop)]).astype(np.int64),
            items=self.items[kept],
            weights=self.weights[kept],
            times=self.times[kept],
            sequences=self.sequences[kept],
        )

    def first_positive(self) -> NDArray[np.bool_]:
        """bool[E]: the event is positive and the first one of its user with its item.

        These are the events worth predicting: a dislike is no target, and a seen item is never recommended.
        """
        pair = self.users * self.item_count + self.items
        first = np.zeros(self.event_count, np.bool_)
        first[np.unique(pair, return_index=True)[1]] = True
        return first & (self.weights > 0)


def check_catalogue(item_ids: Sequence[str]) -> None:
    """Raises `CatalogueTooLarge` or `ValueError` when a bundle cannot hold these items."""
    if len(item_ids) > LARGEST_CATALOGUE:
        raise CatalogueTooLarge(
            f"the catalogue has {len(item_ids):,} items; a bundle holds at most {LARGEST_CATALOGUE:,}"
        )
    if not item_ids:
        raise ValueError("the catalogue is empty: there is nothing to recommend")
    if len(set(item_ids)) != len(item_ids):
        raise ValueError("the catalogue repeats an item id")
    # Only what would break `items.txt`: a loader splits it at line feeds, and reading may turn carriage returns into
    # them.
    if any(not item_id or "\n" in item_id or "\r" in item_id for item_id in item_ids):
        raise ValueError("an item id is empty or has a line break")
