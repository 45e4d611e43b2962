"""Bursts: stretches of events that no person makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_WITHIN: tuple[tuple[float, int], ...] = ((1.0, 20), (60.0, 60), (3_600.0, 1_000))
"""(seconds, most events of a person within them). The busiest of the 943 people of MovieLens-100K, who send pages
full of ratings, reach 10, 30 and 597. None of them is taken for a burst; by the rule of three, with 95 % confidence
at most .32 % of people like them are."""


@dataclass(frozen=True)
class FoundBurst:
    """A burst: indices of its first and last event in the ascending times, and the limit that it breaks."""

    first: int
    last: int
    seconds: float
    most: int

    @property
    def count(self) -> int:
        """Number of events."""
        return self.last - self.first + 1

    @property
    def reason(self) -> str:
        """Why it is one, as a sentence."""
        span = {1.0: "a second", 60.0: "a minute"}.get(self.seconds, "an hour")
        return (
            f"{self.count} events, more than {self.most} within {span}: a program, or an import under one user's name"
        )


def find_bursts(times: Sequence[float], limits: Sequence[tuple[float, int]] = MOST_WITHIN) -> list[FoundBurst]:
    """Return the bursts in event times, oldest first; overlapping ones are one, under the shortest limit it breaks.

    Args:
        times: seconds since 1970, ascending.
        limits: (seconds, most events within them), shortest first.
    """
    found: list[FoundBurst] = []
    for seconds, most in limits:
        start = 0
        for end, moment in enumerate(times):
            while moment - times[start] >= seconds:
                start += 1
            if end - start + 1 > most:
                _add(found, FoundBurst(start, end, seconds, most))
    return sorted(found, key=lambda burst: burst.first)


def _add(found: list[FoundBurst], new: FoundBurst) -> None:
    """Join a burst with those that it overlaps; the one that was found first keeps its limit."""
    touching = [one for one in found if one.first <= new.last and new.first <= one.last]
    for one in touching:
        found.remove(one)
    limit = touching[0] if touching else new
    first = min([new.first, *(one.first for one in touching)])
    last = max([new.last, *(one.last for one in touching)])
    found.append(FoundBurst(first, last, limit.seconds, limit.most))
