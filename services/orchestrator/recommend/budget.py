"""The caller's deadline, split over the steps so that one slow service cannot take the whole answer with it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from services.runtime.request_context import current_request

# Re-ranking, explanation and the way back to the caller always get this much.
_RESERVE_SECONDS = 0.02
_SMALLEST_SECONDS = 0.005


@dataclass(frozen=True)
class Budget:
    """Time until an answer must leave.

    Attributes:
        deadline: moment on the monotonic clock, in seconds.
    """

    deadline: float

    @classmethod
    def for_current_call(cls, longest_seconds: float) -> Budget:
        """Return the sooner of the caller's deadline and `longest_seconds` from now."""
        remaining = current_request().remaining_seconds()
        longest = longest_seconds if remaining is None else min(longest_seconds, remaining)
        return cls(time.monotonic() + longest)

    def step(self, share: float, longest_seconds: float) -> float:
        """Return the seconds a step may take: its share of what is left after the reserve, at most
        `longest_seconds`.
        """
        left = self.deadline - time.monotonic() - _RESERVE_SECONDS
        return max(_SMALLEST_SECONDS, min(longest_seconds, left * share))
