"""Users at moments: features then, and what they did within the horizon after."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.classical.behaviour_features import FEATURES, Floats, behaviour_features
from services.classical.training.behaviour.logs import Log

RETURN, ENGAGEMENT, VALUE, NEXT_SESSION = "return", "engagement", "value", "next-session"
TASKS = (RETURN, ENGAGEMENT, VALUE, NEXT_SESSION)
"""Whether a session follows within the horizon; how many; their value; how long until the first, in horizons, at
most 1."""

FIT, VALIDATION, TEST = "fit", "validation", "test"


@dataclass(frozen=True)
class Moment:
    """When to look, and how far ahead, in seconds."""

    now: float
    horizon: float


@dataclass(frozen=True)
class Rows:
    """R users at moments.

    Attributes:
        user_ids: one a row.
        features: float32[R, F].
        targets: task to float64[R].
    """

    user_ids: tuple[str, ...]
    features: Floats
    targets: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.user_ids)


def part_of(user_id: str) -> str:
    """The part that a user belongs to, whatever the log's size: 60 % fit, 10 % validation, 30 % test."""
    place = zlib.crc32(user_id.encode()) % 10
    return FIT if place < 6 else VALIDATION if place < 7 else TEST


def make_rows(log: Log, moments: Iterable[Moment], part: str) -> Rows:
    """Describes the users of a part who were there before a moment."""
    users, features = [], []
    targets: dict[str, list[float]] = {task: [] for task in TASKS}
    for moment in moments:
        for user_id, all_sessions in log.items():
            known = all_sessions.until(moment.now)
            if part_of(user_id) != part or not len(known.times):
                continue
            later = all_sessions.times[len(known.times) :]
            within = later <= moment.now + moment.horizon
            users.append(user_id)
            features.append(behaviour_features(known, moment.now, moment.horizon))
            targets[RETURN].append(float(within.any()))
            targets[ENGAGEMENT].append(float(within.sum()))
            targets[VALUE].append(float(all_sessions.values[len(known.times) :][within].sum()))
            wait = (later[0] - moment.now) / moment.horizon if len(later) else 1.0
            targets[NEXT_SESSION].append(min(1.0, float(wait)))
    return Rows(
        tuple(users),
        np.array(features, np.float32).reshape(-1, len(FEATURES)),
        {task: np.array(values, np.float64) for task, values in targets.items()},
    )


def join_rows(parts: list[Rows]) -> Rows:
    """Puts rows one after the other."""
    return Rows(
        tuple(user_id for part in parts for user_id in part.user_ids),
        np.concatenate([part.features for part in parts]),
        {task: np.concatenate([part.targets[task] for part in parts]) for task in TASKS},
    )
