"""A policy's rule for pictures and clips: checks, and the built-in one."""

from __future__ import annotations

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.runtime.validation import Violations

MOST_LABELS, LONGEST_LABEL = 100, 100

BUILT_IN_IMAGE_RULE = pb.ImageRule(review_from=0.5, block_from=0.85)
"""Decides where a policy has no rule of its own."""


def image_rule_of(policy: pb.ModerationPolicy) -> pb.ImageRule:
    """Return the rule that a policy decides pictures by."""
    return policy.image_rule if policy.HasField("image_rule") else BUILT_IN_IMAGE_RULE


def check_image_rule(check: Violations, field: str, rule: pb.ImageRule) -> None:
    """Record what is wrong with a rule."""
    check.within(f"{field}.review_from", rule.review_from, 0, 1)
    check.within(f"{field}.block_from", rule.block_from, 0, 1)
    if rule.block_from and rule.block_from < rule.review_from:
        check.add(f"{field}.block_from", f"is {rule.block_from:g}, below review_from {rule.review_from:g}")
    if check.count(f"{field}.blocked_labels", rule.blocked_labels, maximum=MOST_LABELS):
        for index, label in enumerate(rule.blocked_labels):
            check.text(f"{field}.blocked_labels[{index}]", label, maximum=LONGEST_LABEL)
