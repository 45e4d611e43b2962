"""Admission: refuse at once what cannot be answered in time, so that what is admitted is."""

from __future__ import annotations

from typing import NamedTuple

import grpc

from services.runtime.batching.lane import Lane
from services.runtime.errors import ServiceError
from services.runtime.request_context import Priority

_SHORTEST_RETRY = 0.01
# Of a hundred admitted requests about five may miss their deadline before the estimates are taken to be too low.
_AFTER_A_MISS = 1.1
_AFTER_A_HIT = 0.995
# Answers also take their way back to the caller.
_LEAST_CAUTION, _MOST_CAUTION = 1.15, 8.0


class Admitted(NamedTuple):
    """A request that was let in; `Admission.leave` wants it back.

    Attributes:
        priority: how urgent it is.
        charge: engine seconds that it was estimated to take.
        behind_others: whether others were in front of it.
    """

    priority: Priority
    charge: float
    behind_others: bool


class Admission:
    """Keeps count of the engine time that admitted requests will still take, and decides who else may come in.

    A request is charged what a request to its pipeline took lately. What waits in front of a newcomer is the charge of
    all admitted requests of its priority and above, spread over the engines. Estimates are multiplied by a caution that
    grows with each admitted request that misses its deadline and shrinks with each that does not: it makes up for what
    no estimate sees, such as other work on the same processors. Only used on the event loop.

    Args:
        engines: engines that share the work.
        maximum_requests: admitted requests at the same time.
        maximum_wait_seconds: longest estimated wait for an engine.
    """

    def __init__(self, engines: int, maximum_requests: int, maximum_wait_seconds: float) -> None:
        self._engines = engines
        self._maximum_requests = maximum_requests
        self._maximum_wait = maximum_wait_seconds
        self._backlog = [0.0] * len(Priority)
        self._requests = 0
        self._caution = _LEAST_CAUTION

    @property
    def requests(self) -> int:
        """Number of admitted requests that are not answered yet."""
        return self._requests

    def wait_seconds(self, priority: Priority) -> float:
        """Return the estimated wait of a newcomer for an engine."""
        # With fewer requests than engines one is free.
        if self._requests < self._engines:
            return 0.0
        return sum(self._backlog[: priority + 1]) / self._engines

    def admit(self, lane: Lane, priority: Priority, remaining: float | None) -> Admitted:
        """Let one request in.

        Args:
            lane: whose request it is.
            priority: how urgent it is.
            remaining: seconds until the caller stops waiting; None when it never does.

        Raises:
            ServiceError: RESOURCE_EXHAUSTED when it cannot be answered in time, or when too many wait already.
        """
        wait = self.wait_seconds(priority)
        if self._requests >= self._maximum_requests or wait > self._maximum_wait:
            raise self._refusal(lane, "QUEUE_FULL", wait, "the queue is full")
        charge = lane.request_seconds
        # With a free engine it is not the load that makes a deadline too short, and coming back later is no help.
        # Caution must not leave engines without work: one request for each may always wait.
        caution = self._caution if self._requests >= 2 * self._engines else 1.0
        if remaining is not None and wait > 0 and (wait + charge) * caution > remaining:
            raise self._refusal(
                lane, "CANNOT_FINISH_IN_TIME", wait, f"the deadline is {max(0.0, remaining) * 1000:.0f} ms away"
            )
        self._backlog[priority] += charge
        self._requests += 1
        return Admitted(priority, charge, wait > 0)

    def enter(self, lane: Lane, priority: Priority) -> Admitted:
        """Count work of requests that were let in before: it is never refused, and others wait behind it."""
        self._backlog[priority] += lane.request_seconds
        self._requests += 1
        return Admitted(priority, lane.request_seconds, False)

    def leave(self, admitted: Admitted, missed: bool) -> None:
        """Give back the charge of a request that was answered, failed or left, and learn from its end.

        Args:
            admitted: what `admit` returned.
            missed: whether it missed its deadline.
        """
        # Whoever had no others in front asked for what no load explains; others are not to suffer for that.
        if admitted.behind_others:
            if missed:
                self._caution = min(_MOST_CAUTION, self._caution * _AFTER_A_MISS)
            else:
                self._caution = max(_LEAST_CAUTION, self._caution * _AFTER_A_HIT)
        self._requests -= 1
        self._backlog[admitted.priority] -= admitted.charge
        if self._requests == 0:
            # Rounding errors must not add up over millions of requests.
            self._backlog = [0.0] * len(Priority)

    def _refusal(self, lane: Lane, reason: str, wait: float, cause: str) -> ServiceError:
        if lane.metrics is not None:
            lane.metrics.refused(reason)
        return ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            reason,
            f"{cause}: an engine would be free in about {wait * 1000:.0f} ms; try again later, elsewhere, or with a "
            "longer deadline",
            metadata={"model": lane.identity.name, "wait_milliseconds": f"{wait * 1000:.0f}"},
            retry_after_seconds=max(wait, _SHORTEST_RETRY),
            quota=("engine time", cause),
        )
