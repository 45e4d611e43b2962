"""How the arms of a route did: lists joined with the events that followed from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import numpy

from marquee.entertainment.v1 import experiment_service_pb2 as pb
from services.orchestrator.learning.intervals import Interval, difference, mean, share
from services.orchestrator.learning.off_policy import LoggedChoices, inverse_propensity, self_normalised
from services.orchestrator.store import Store
from services.orchestrator.store.records import AttributedEvent, Slate

_PAGE = 2_000
_FIRST_PLACES = 10
"""Explored places beyond are hardly looked at, and would say more about scrolling than about items."""


@dataclass
class _Arm:
    """What is counted of one arm and bundle."""

    lists: int = 0
    users: set[str] = field(default_factory=set)
    followed: int = 0
    watched: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    propensities: list[float] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)

    def add(self, slate: Slate, events: list[AttributedEvent]) -> None:
        """Count a list and what followed from it."""
        self.lists += 1
        self.users.add(slate.user_id)
        positive = {event.position for event in events if event.weight > 0}
        self.followed += bool(positive)
        self.watched.append(sum(event.watched_fraction or 0.0 for event in events))
        propensities = numpy.frombuffer(slate.propensities, "<f4")[:_FIRST_PLACES]
        for position in numpy.flatnonzero(propensities < 1).tolist():
            self.rewards.append(float(position in positive))
            self.propensities.append(float(propensities[position]))
            self.choices.append(len(slate.item_ids) - position)


async def arm_report(store: Store, tenant: str, start: int, end: int, surface: str) -> pb.GetArmReportResponse:
    """Join the lists of a stretch of time with what followed from them.

    Args:
        store: where both are.
        tenant: owner.
        start: microseconds since 1970, the first that counts.
        end: the first that does not.
        surface: only lists shown here; empty takes all.

    Raises:
        ServiceError: the store cannot be read.
    """
    following: dict[str, list[AttributedEvent]] = {}
    async for event in _events(store, tenant, start):
        following.setdefault(event.slate_id, []).append(event)
    arms: dict[tuple[str, str], _Arm] = {}
    async for slate in _slates(store, tenant, start, end):
        if not surface or slate.surface == surface:
            arms.setdefault((slate.arm, slate.bundle_version), _Arm()).add(slate, following.get(slate.slate_id, []))
    return pb.GetArmReportResponse(arms=_reports(arms))


def _reports(arms: Mapping[tuple[str, str], _Arm]) -> list[pb.ArmReport]:
    reports: list[pb.ArmReport] = []
    first: Interval | None = None
    for (name, version), arm in sorted(arms.items()):
        through = share(arm.followed, arm.lists)
        report = pb.ArmReport(
            arm=name,
            bundle_version=version,
            list_count=arm.lists,
            user_count=len(arm.users),
            followed_count=arm.followed,
            click_through=_estimate(through),
            watched=_estimate(mean(arm.watched)),
        )
        if first is None:
            first = through
        else:
            report.click_through_difference.CopyFrom(_estimate(difference(through, first)))
        if arm.rewards:
            log = LoggedChoices(
                numpy.array(arm.rewards), numpy.array(arm.propensities), 1.0 / numpy.array(arm.choices, numpy.float64)
            )
            report.explored_ips.CopyFrom(_estimate(inverse_propensity(log)))
            report.explored_snips.CopyFrom(_estimate(self_normalised(log)))
        reports.append(report)
    return reports


def _estimate(interval: Interval) -> pb.Estimate:
    return pb.Estimate(value=interval.value, low=interval.low, high=interval.high, count=interval.observations)


async def _slates(store: Store, tenant: str, start: int, end: int) -> AsyncIterator[Slate]:
    after = ""
    while page := await store.slates_between(tenant, start, end, after, _PAGE):
        for slate in page:
            yield slate
        after = page[-1].slate_id


async def _events(store: Store, tenant: str, start: int) -> AsyncIterator[AttributedEvent]:
    after = 0
    while page := await store.attributed_events(tenant, start, after, _PAGE):
        for event in page:
            yield event
        after = page[-1].sequence
