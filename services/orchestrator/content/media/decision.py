"""What a policy decides on a picture or clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from marquee.entertainment.v1 import media_service_pb2 as pb
from marquee.entertainment.v1 import moderation_service_pb2 as policy_pb
from services.orchestrator.content.moderation.image_rule import image_rule_of
from services.orchestrator.content.moderation.policy import ALLOW, BLOCK, REVIEW

LABEL_SEEN_FROM = 0.5
"""Probability from which on a label or kind of object counts as seen."""


@dataclass(frozen=True)
class Seen:
    """A label or kind of object, and where it was surest.

    Attributes:
        label: its name.
        probability: 0 to 1.
        time_seconds: when in a clip; None for a picture.
    """

    label: str
    probability: float
    time_seconds: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What a decision goes by.

    Attributes:
        unsafe_probability: that it is not safe for work, 0 to 1; of a clip the highest of its frames. None when the
            model did not answer.
        unsafe_seconds: when in a clip that was; None for a picture.
        unsafe_all: whether every frame of a clip was screened.
        seen: labels and kinds of objects.
        seen_all: whether labels and objects were both looked for and answered.
    """

    unsafe_probability: float | None
    unsafe_seconds: float | None = None
    unsafe_all: bool = True
    seen: Iterable[Seen] = ()
    seen_all: bool = True


def decide(policy: policy_pb.ModerationPolicy, evidence: Evidence) -> pb.MediaDecision:
    """Return what the policy has done with it. What is not known is decided by the policy's `when_unknown`."""
    rule = image_rule_of(policy)
    decision = pb.MediaDecision(action=ALLOW, policy=policy.name, policy_version=policy.version)
    probability = evidence.unsafe_probability
    unknown = policy.when_unknown or REVIEW
    if probability is not None:
        decision.unsafe_probability = probability
        action = _action(rule, probability)
        sentence = f"not safe for work: probability {probability:.2f}"
        _reason(decision, "unsafe", sentence, action, probability, evidence.unsafe_seconds)
    if (probability is None or not evidence.unsafe_all) and (rule.review_from or rule.block_from):
        part = "" if probability is None else " for all of it"
        sentence = f"the model that screens pictures did not answer{part}"
        _reason(decision, "unavailable", sentence, unknown, 0.0, None)
    blocked = {label.casefold() for label in rule.blocked_labels}
    for one in evidence.seen:
        if one.probability >= LABEL_SEEN_FROM and one.label.casefold() in blocked:
            sentence = f"shows {one.label!r}, which the policy blocks: probability {one.probability:.2f}"
            _reason(decision, "blocked_label", sentence, BLOCK, one.probability, one.time_seconds)
    if blocked and not evidence.seen_all:
        sentence = "not all models answered that could see what the policy blocks"
        _reason(decision, "unavailable", sentence, unknown, 0.0, None)
    return decision


def _action(rule: policy_pb.ImageRule, probability: float) -> policy_pb.ModerationAction.ValueType:
    if rule.block_from and probability >= rule.block_from:
        return BLOCK
    return REVIEW if rule.review_from and probability >= rule.review_from else ALLOW


def _reason(
    decision: pb.MediaDecision,
    code: str,
    sentence: str,
    action: policy_pb.ModerationAction.ValueType,
    probability: float,
    time_seconds: float | None,
) -> None:
    decision.action = max(decision.action, action)
    if action != ALLOW:
        decision.reasons.add(
            code=code, message=sentence, action=action, probability=probability, time_seconds=time_seconds
        )
