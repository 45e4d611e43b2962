"""Features of a user's behaviour: the one implementation that fitting and serving share.

Every time is measured in horizons, the length of time that a prediction is about. So what was learnt about people
who buy music every few months says something about people who play every few days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SESSION_GAP_SECONDS = 1_800.0
"""Events closer together than this belong to one session."""

FEATURES = (
    "sessions",
    "recency",
    "tenure",
    "mean_gap",
    "gap_deviation",
    "last_gap",
    "overdue",
    "sessions_in_last_horizon",
    "sessions_in_last_quarter",
    "mean_value",
    "last_value",
    "value_in_last_horizon",
    "only_once",
)
"""In column order; all but the last are log(1 + x), times in horizons."""


@dataclass(frozen=True)
class Sessions:
    """What one user did, put together into sessions.

    Attributes:
        times: float64[S], seconds since 1970 of each session's last event, ascending.
        values: float64[S], sum of the events' values, at least 0.
    """

    times: Doubles
    values: Doubles

    def until(self, moment: float) -> Sessions:
        """Return what happened up to a moment."""
        count = int(np.searchsorted(self.times, moment, side="right"))
        return Sessions(self.times[:count], self.values[:count])


def sessions(times: Doubles, values: Doubles, gap_seconds: float = SESSION_GAP_SECONDS) -> Sessions:
    """Put events together into sessions.

    Args:
        times: float64[E], seconds since 1970, in any order.
        values: float64[E]; negative ones, such as of dislikes, count as 0.
        gap_seconds: events closer together than this belong to one session.
    """
    order = np.argsort(times, kind="stable")
    times, values = times[order], np.maximum(values[order], 0.0)
    if not len(times):
        return Sessions(times, values)
    ends = np.flatnonzero(np.append(np.diff(times) > gap_seconds, True))
    starts = np.concatenate([[0], ends[:-1] + 1])
    return Sessions(times[ends], np.add.reduceat(values, starts))


def behaviour_features(known: Sessions, now: float, horizon: float) -> Floats:
    """Describe a user at one moment.

    Args:
        known: sessions up to `now`; at least one.
        now: seconds since 1970.
        horizon: seconds that a prediction is about, above 0.

    Returns:
        float32[F], in the order of `FEATURES`.
    """
    times, values = known.times, known.values
    count = len(times)
    gaps = np.diff(times) / horizon
    recency = max(0.0, (now - times[-1]) / horizon)
    tenure = max(0.0, (now - times[0]) / horizon)
    # Somebody who came once tells of no gap; the whole time since is the best guess.
    mean_gap = float(gaps.mean()) if count > 1 else tenure
    recent = times > now - horizon
    described = [
        count,
        recency,
        tenure,
        mean_gap,
        float(gaps.std()) if count > 2 else 0.0,
        float(gaps[-1]) if count > 1 else tenure,
        recency / max(mean_gap, 1e-3),
        recent.sum(),
        (times > now - horizon / 4).sum(),
        values.mean(),
        values[-1],
        values[recent].sum(),
    ]
    return np.append(np.log1p(np.array(described, np.float64)), float(count == 1)).astype(np.float32)
