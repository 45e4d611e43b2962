"""What the data plane knows about one pipeline: whose work it is, and what that work costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Protocol

# Weight of the newest observation. Ten runs forget most of the past, which follows a change of load within a second.
_NEWEST = 0.1
_UNKNOWN_SECONDS = 0.001
_serials = count()


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Name and version under which metrics and usage count a pipeline's work."""

    name: str
    version: str


class LaneMetrics(Protocol):
    """Where the work of one model version is counted."""

    def ran(self, rows: int, cost: int, seconds: float) -> None:
        """Count one model run."""

    def waited(self, seconds: float) -> None:
        """Count the queue time of one request."""

    def answered(self, unit: str, cost: int) -> None:
        """Count one answered request."""

    def refused(self, reason: str) -> None:
        """Count one request that was refused for overload."""

    def dropped(self, reason: str) -> None:
        """Count work that was dropped before it ran."""

    def failed(self) -> None:
        """Count a run that raised."""

    def cached(self, hit: bool) -> None:
        """Count a look into the response cache."""


class Lane:
    """The learned cost of a pipeline's work. Its figures are only ever changed on the event loop.

    Attributes:
        identity: whose work it is.
        metrics: where it is counted; None when nobody counts.
        seconds_per_cost: engine seconds for one unit of cost, amortised over shared runs.
        request_seconds: engine seconds of a typical request, preparation on an engine or a thread included.
        serial: tells apart two lanes of one identity: a version whose files changed is loaded anew.
    """

    __slots__ = ("identity", "measured", "metrics", "request_seconds", "seconds_per_cost", "serial")

    def __init__(self, identity: ModelIdentity, metrics: LaneMetrics | None) -> None:
        self.identity = identity
        self.metrics = metrics
        self.seconds_per_cost = 0.0
        self.request_seconds = _UNKNOWN_SECONDS
        self.measured = False
        self.serial = next(_serials)

    def observe_run(self, cost: int, seconds: float) -> None:
        """Learn from one run of `cost` units that took `seconds`."""
        observed = seconds / max(cost, 1)
        if self.measured:
            self.seconds_per_cost += _NEWEST * (observed - self.seconds_per_cost)
        else:
            self.seconds_per_cost, self.measured = observed, True

    def observe_request(self, seconds: float) -> None:
        """Learn from one request whose share of engine time was `seconds`."""
        self.request_seconds += _NEWEST * (seconds - self.request_seconds)
