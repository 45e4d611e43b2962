"""What a highlight is: a second next to one of its game's notable moments.

The weight of a second adds up what happened in it: points and damage count once, kills and lost lives twice, each
against what is usual for the game when it happens at all. A second is notable when its weight is in the top tenth of
the game's seconds of training play; where a tie makes the tenth larger, it is left out, unless nothing weighs more. A
second is a highlight when it, the one before or the one after is notable, so that a range of highlights shows how a
moment begins and how it ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.vision.training.data.gameplay_clips import Floats, Labels
from services.vision.training.events.streams import Streams

# Points, kills, damage, lives.
IMPORTANCE = np.array([1, 2, 1, 2], np.float32)
MOST_TIMES_USUAL = 3.0
TOP_PART = 0.1
REACH_SECONDS = 1

Flags = np.ndarray[Any, np.dtype[np.int8]]


@dataclass(frozen=True)
class Usual:
    """One game's own scale, measured on its training play.

    Attributes:
        amounts: F32[4], the mean of each count over the seconds in which it is not zero; 1 when it never happens.
        threshold: Least weight of a notable second.
    """

    amounts: Floats
    threshold: float


def usual(counts: Floats) -> Usual:
    """Measures a game's scale on counts F32[S, 4] of training play."""
    happened = counts > 0
    amounts = np.where(happened.any(0), counts.sum(0) / np.maximum(happened.sum(0), 1), 1).astype(np.float32)
    weights, seconds = np.unique(_weights(counts, amounts), return_counts=True)
    at_least = np.cumsum(seconds[::-1])[::-1] / len(counts)
    rare = weights[(at_least <= TOP_PART) & (weights > 0)]
    largest = float(weights[-1]) if weights[-1] > 0 else np.inf
    return Usual(amounts, float(rare[0]) if len(rare) else largest)


def highlights(counts: Floats, scale: Usual) -> Flags:
    """Returns I8[S], 1 for a highlight, of counts F32[S, 4] of one stream."""
    notable = _weights(counts, scale.amounts) >= scale.threshold
    near = notable.copy()
    for shift in range(1, REACH_SECONDS + 1):
        near[shift:] |= notable[:-shift]
        near[:-shift] |= notable[shift:]
    return near.astype(np.int8)


def scales(names: Sequence[str], counts: Floats) -> Mapping[str, Usual]:
    """Returns each game's scale from the names and counts F32[N, S, 4] of training streams."""
    games = np.asarray(names)
    return {name: usual(counts[games == name].reshape(-1, counts.shape[-1])) for name in dict.fromkeys(names)}


def with_highlights(streams: Streams, of_games: Mapping[str, Usual]) -> Labels:
    """Returns targets I8[N, S, 6] of N streams: the labels of the events and, last, the highlight."""
    found = [highlights(counts, of_games[name]) for name, counts in zip(streams.names, streams.counts, strict=True)]
    return np.concatenate([streams.labels, np.stack(found)[..., None]], -1)


def scales_as_text(of_games: Mapping[str, Usual]) -> str:
    """Returns JSON that `scales_of_text` reads back."""
    document = {
        name: {"amounts": [float(amount) for amount in scale.amounts], "threshold": scale.threshold}
        for name, scale in of_games.items()
    }
    return json.dumps(document, indent=1) + "\n"


def scales_of_text(text: str) -> Mapping[str, Usual]:
    """Returns the scales that `scales_as_text` wrote."""
    return {
        name: Usual(np.array(scale["amounts"], np.float32), scale["threshold"])
        for name, scale in json.loads(text).items()
    }


def _weights(counts: Floats, amounts: Floats) -> Floats:
    # Rounded, so that equal moments weigh the same to the last bit.
    return np.round(np.minimum(counts / amounts, MOST_TIMES_USUAL) @ IMPORTANCE, 3)
