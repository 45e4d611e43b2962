"""A new bundle for a share of the users, for a while, and then for all of them or for nobody."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from marquee.entertainment.v1 import route_service_pb2 as pb
from marquee_client import MarqueeClient, MarqueeError, NotFound
from services.cli.cluster.probes import SURFACE, Probes
from services.cli.cluster.verdict import Arm, Decision, Limits, Verdict, judge
from services.cli.failures import CommandFailed

TASK = "recommend"
BASELINE, CANARY = "baseline", "canary"
_ACTIVATION_SECONDS = 120.0
_LOOK_SECONDS = 5.0
_LOST_SECONDS = 30.0


@dataclass(frozen=True)
class CanaryPlan:
    """What is tried.

    Attributes:
        bundle: the new bundle's version.
        ranker: one of its rankers; empty is its default one.
        share: per cent of the users who get it.
        seconds: how long.
        probes_per_second: pairs of probes; 0 sends none.
        limits: how much worse it may be.
    """

    bundle: str
    ranker: str = ""
    share: int = 10
    seconds: float = 900.0
    probes_per_second: float = 1.0
    limits: Limits = field(default_factory=Limits)


@dataclass
class Outcome:
    """How a canary went.

    Attributes:
        plan: what was tried.
        start: when it began.
        arms: both arms.
        verdict: what the figures say.
        seconds: how long it ran.
        action: what was done about it, in a sentence.
        notes: what happened on the way.
        mesh: figures of the whole mesh in that time, by what they are; may be empty.
    """

    plan: CanaryPlan
    start: datetime.datetime
    arms: dict[str, Arm]
    verdict: Verdict
    seconds: float = 0.0
    action: str = ""
    notes: list[str] = field(default_factory=list)
    mesh: dict[str, Any] = field(default_factory=dict)


class Canary:
    """Sets the route, watches both arms, and puts things in order afterwards.

    Args:
        client: the orchestrator.
        plan: what to try.
        replace: take the place of a route that is there already; it comes back when the canary ends without promotion.
    """

    def __init__(self, client: MarqueeClient, plan: CanaryPlan, *, replace: bool = False) -> None:
        self._client = client
        self._plan = plan
        self._earlier = next((route for route in client.list_routes() if route.task == TASK), None)
        serving = client.serving_bundle().version
        if not serving:
            raise CommandFailed("no bundle serves yet: there is nothing to compare with", "Promote the first one.")
        if serving == plan.bundle:
            raise CommandFailed(f"bundle {serving} serves already")
        if self._earlier is not None and not replace:
            raise CommandFailed(
                f"task {TASK} has a route already, with {len(self._earlier.arms)} arms",
                "Look at it with `marquee cluster route list`; --replace puts the canary in its place.",
            )
        start = datetime.datetime.now(datetime.UTC)
        baseline, canary = Arm(serving), Arm(plan.bundle)
        verdict = judge(baseline, canary, plan.limits, last=False)
        self.outcome = Outcome(plan, start, {BASELINE: baseline, CANARY: canary}, verdict)

    def begin(self) -> None:
        """Set the route. From here on `restore` or `promote` has to follow."""
        plan, arms = self._plan, self.outcome.arms
        route = pb.Route(
            task=TASK,
            key=pb.ROUTE_KEY_USER,
            salt=f"canary-{self.outcome.start:%Y%m%dT%H%M%S}",
            arms=[
                pb.RouteArm(name=BASELINE, version=arms[BASELINE].bundle, weight=100 - plan.share),
                pb.RouteArm(name=CANARY, version=plan.bundle, model=plan.ranker, weight=plan.share),
            ],
        )
        self._client.set_route(route, timeout=_ACTIVATION_SECONDS)

    def watch(self, show: Callable[[Outcome], None]) -> None:
        """Send probes and read how the arms do, until the time is over or the new bundle is found to be worse.

        Args:
            show: told after each look.

        Raises:
            CommandFailed: the orchestrator did not answer for half a minute.
        """
        plan, outcome = self._plan, self.outcome
        probes = Probes(self._client, outcome.arms) if plan.probes_per_second else None
        begin = answered = time.monotonic()
        look = begin + _LOOK_SECONDS
        while (now := time.monotonic()) < begin + plan.seconds:
            if probes is not None and probes.count < (now - begin) * plan.probes_per_second:
                probes.ask()
            elif now < look:
                time.sleep(min(0.05, look - now))
            if time.monotonic() < look:
                continue
            look = time.monotonic() + min(_LOOK_SECONDS, plan.seconds / 10)
            outcome.seconds = time.monotonic() - begin
            try:
                self._read_arms()
                answered = time.monotonic()
            except MarqueeError as error:
                if time.monotonic() - answered > _LOST_SECONDS:
                    raise CommandFailed(
                        f"the orchestrator does not answer any more: {error.message}", "The route is as it was set."
                    ) from error
                continue
            self._judge(last=False)
            show(outcome)
            if outcome.verdict.decision is Decision.ROLL_BACK:
                return
        outcome.seconds = time.monotonic() - begin
        self._read_arms()
        self._judge(last=True)
        show(outcome)

    def promote(self) -> None:
        """Let the new bundle serve everybody, and take the route away."""
        answer = self._client.activate_bundle(self._plan.bundle, timeout=_ACTIVATION_SECONDS)
        self._delete_route()
        self.outcome.action = f"promoted: {answer.version} serves everybody, before it {answer.previous_version}"

    def restore(self) -> None:
        """Put the routes back to what they were."""
        if self._earlier is not None:
            self._client.set_route(self._earlier, timeout=_ACTIVATION_SECONDS)
            self.outcome.action = f"rolled back: the route of task {TASK} is as it was before"
        else:
            self._delete_route()
            self.outcome.action = f"rolled back: {self.outcome.arms[BASELINE].bundle} serves everybody"

    def _delete_route(self) -> None:
        try:
            self._client.delete_route(TASK)
        except NotFound:
            self.outcome.notes.append("somebody else had deleted the route")

    def _judge(self, *, last: bool) -> None:
        arms = self.outcome.arms
        self.outcome.verdict = judge(arms[BASELINE], arms[CANARY], self._plan.limits, last=last)

    def _read_arms(self) -> None:
        """Count the lists that real users got, and those that something followed from; probes do not count."""
        for arm in self.outcome.arms.values():
            arm.lists = arm.followed = 0
        for surface, sign in (("", 1), (SURFACE, -1)):
            for report in self._client.arm_report(start=self.outcome.start, surface=surface):
                counted = self.outcome.arms.get(report.arm)
                if counted is not None and report.bundle_version == counted.bundle:
                    counted.lists += sign * report.list_count
                    counted.followed += sign * report.followed_count
