"""Compares the two arms of a canary, and says whether the new bundle may serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.cli.cluster.intervals import Z_95, Z_999, Interval, difference, quantile, ratio, share

_FEWEST_PROBES = 30


class Decision(StrEnum):
    """What the figures say."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    UNDECIDED = "undecided"


@dataclass
class Arm:
    """What is known of one arm.

    Attributes:
        bundle: version that answers.
        lists: that real users got.
        followed: of these, lists that a positive event followed from.
        seconds: duration of each answered probe, in the order of the pairs; 0 where it failed.
        failures: probes that failed.
        degraded: probes that a fallback answered.
    """

    bundle: str
    lists: int = 0
    followed: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    degraded: int = 0


@dataclass(frozen=True)
class Limits:
    """How much worse the new bundle may be.

    Attributes:
        slower: geometric mean of the paired ratios of durations, 1.1 for ten per cent.
        click_loss: loss of click-through, as a share of lists, that must be ruled out before it is promoted.
        fewest_lists: of each arm, before click-through is judged; 0 leaves it out of the decision.
    """

    slower: float = 1.2
    click_loss: float = 0.02
    fewest_lists: int = 200


@dataclass(frozen=True)
class Comparison:
    """One thing that was compared.

    Attributes:
        name: what.
        baseline: figure of the serving bundle.
        canary: figure of the new one.
        difference: canary against baseline: a difference, or for durations a ratio.
        judgement: "worse", "not worse" or "too little known".
    """

    name: str
    baseline: Interval
    canary: Interval
    difference: Interval
    judgement: str


@dataclass(frozen=True)
class Verdict:
    """What all comparisons say together; `confidence` is that of their intervals, in per cent."""

    decision: Decision
    reason: str
    comparisons: tuple[Comparison, ...]
    confidence: float


def judge(baseline: Arm, canary: Arm, limits: Limits, *, last: bool) -> Verdict:
    """Compare two arms.

    Looks that are taken on the way use 99.9 % intervals, and only ever say "roll back": many looks at 95 % would find
    a difference where there is none.

    Args:
        baseline: the serving bundle.
        canary: the new one.
        limits: how much worse it may be.
        last: the time is over.
    """
    z, confidence = (Z_95, 95.0) if last else (Z_999, 99.9)
    probes = len(baseline.seconds)
    comparisons = (
        _more_often("failed", baseline.failures, canary.failures, probes, z),
        _more_often("degraded", baseline.degraded, canary.degraded, probes, z),
        _slower(baseline.seconds, canary.seconds, limits, z),
        _clicks(baseline, canary, limits, z),
    )
    worse = [one.name for one in comparisons if one.judgement == "worse"]
    if worse:
        return Verdict(Decision.ROLL_BACK, f"the new bundle is worse: {', '.join(worse)}", comparisons, confidence)
    if not last:
        return Verdict(Decision.UNDECIDED, "the time is not over", comparisons, confidence)
    unknown = [
        one.name
        for one in comparisons
        if one.judgement == "too little known" and (one.name != "click-through" or limits.fewest_lists)
    ]
    if unknown:
        return Verdict(Decision.UNDECIDED, f"too little is known: {', '.join(unknown)}", comparisons, confidence)
    return Verdict(Decision.PROMOTE, "nothing is worse than the limits allow", comparisons, confidence)


def _more_often(name: str, before: int, now: int, probes: int, z: float) -> Comparison:
    baseline, canary = share(before, probes, z), share(now, probes, z)
    change = difference(canary, baseline)
    judgement = "too little known" if probes < _FEWEST_PROBES else "worse" if change.low > 0 else "not worse"
    return Comparison(name, baseline, canary, change, judgement)


def _slower(before: Sequence[float], now: Sequence[float], limits: Limits, z: float) -> Comparison:
    pairs = [(one, other) for one, other in zip(now, before, strict=True) if one and other]
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    change = ratio(ours, theirs, z)
    if len(pairs) < _FEWEST_PROBES:
        judgement = "too little known"
    else:
        judgement = "worse" if change.low > limits.slower else "not worse"
    return Comparison("duration", _middle(theirs), _middle(ours), change, judgement)


def _middle(seconds: Sequence[float]) -> Interval:
    """Return the median; its ends are not an interval but the quartiles."""
    return Interval(quantile(seconds, 0.5), quantile(seconds, 0.25), quantile(seconds, 0.75), len(seconds))


def _clicks(before: Arm, now: Arm, limits: Limits, z: float) -> Comparison:
    baseline, canary = share(before.followed, before.lists, z), share(now.followed, now.lists, z)
    change = difference(canary, baseline)
    if min(before.lists, now.lists) < max(limits.fewest_lists, 1):
        judgement = "too little known"
    elif change.high < 0:
        judgement = "worse"
    else:
        judgement = "not worse" if change.low > -limits.click_loss else "too little known"
    return Comparison("click-through", baseline, canary, change, judgement)
