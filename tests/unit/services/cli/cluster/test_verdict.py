from __future__ import annotations

import math

import pytest

from services.cli.cluster.intervals import Interval, difference, ratio, share
from services.cli.cluster.verdict import Arm, Decision, Limits, judge
from services.orchestrator.learning import intervals as of_the_report

LIMITS = Limits(slower=1.2, click_loss=0.02, fewest_lists=200)


def arm(*, probes: int = 200, seconds: float = 0.02, failures: int = 0, lists: int = 5000, followed: int = 500) -> Arm:
    """An arm whose probes all took about the same time."""
    times = [seconds * (1 + 0.1 * math.sin(number)) for number in range(probes)]
    return Arm("v", lists, followed, [0.0 if place < failures else one for place, one in enumerate(times)], failures)


def test_intervals_are_those_of_the_report_of_arms() -> None:
    ours, theirs = share(30, 200), share(20, 210)
    assert (ours.value, ours.low, ours.high) == pytest.approx(tuple(of_the_report.share(30, 200))[:3])
    expected = of_the_report.difference(of_the_report.share(30, 200), of_the_report.share(20, 210))
    found = difference(ours, theirs)
    assert (found.value, found.low, found.high) == pytest.approx(tuple(expected)[:3])
    assert share(0, 0) == Interval(0.0, 0.0, 1.0, 0)


def test_the_ratio_of_pairs() -> None:
    found = ratio([0.02, 0.04, 0.03], [0.01, 0.02, 0.015])
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert ratio([0.02], [0.01]).high == math.inf


def test_a_bundle_that_is_no_worse_is_promoted() -> None:
    verdict = judge(arm(), arm(seconds=0.021), LIMITS, last=True)
    assert verdict.decision is Decision.PROMOTE
    assert [one.judgement for one in verdict.comparisons] == ["not worse"] * 4
    assert verdict.confidence == 95.0


@pytest.mark.parametrize(
    ("canary", "name"),
    [
        (arm(failures=20), "failed"),
        (Arm("v", 5000, 500, [0.02] * 200, 0, degraded=15), "degraded"),
        (arm(seconds=0.03), "duration"),
        (arm(followed=380), "click-through"),
    ],
)
def test_what_is_surely_worse_is_rolled_back_before_the_end(canary: Arm, name: str) -> None:
    verdict = judge(arm(), canary, LIMITS, last=False)
    assert verdict.decision is Decision.ROLL_BACK
    assert verdict.reason == f"the new bundle is worse: {name}"


def test_on_the_way_only_what_is_very_sure_counts() -> None:
    canary = arm(followed=430)  # worse at 95 %, not at 99.9 %
    assert judge(arm(), canary, LIMITS, last=True).decision is Decision.ROLL_BACK
    assert judge(arm(), canary, LIMITS, last=False).decision is Decision.UNDECIDED


def test_nothing_is_promoted_on_too_little() -> None:
    assert judge(arm(lists=100, followed=10), arm(), LIMITS, last=True).decision is Decision.UNDECIDED
    few = judge(arm(probes=10), arm(probes=10), LIMITS, last=True)
    assert few.decision is Decision.UNDECIDED
    assert "failed" in few.reason
    # A loss that cannot be ruled out is not a promotion either.
    assert (
        judge(arm(lists=300, followed=30), arm(lists=300, followed=30), LIMITS, last=True).decision
        is Decision.UNDECIDED
    )


def test_clicks_may_be_left_out_of_the_decision() -> None:
    without = Limits(fewest_lists=0)
    assert judge(arm(lists=0, followed=0), arm(lists=0, followed=0), without, last=True).decision is Decision.PROMOTE
