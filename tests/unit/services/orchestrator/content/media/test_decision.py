"""What a policy decides on pictures and clips."""

from __future__ import annotations

import pytest

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.orchestrator.content.media.decision import Evidence, Seen, decide
from services.orchestrator.content.moderation.policy import ALLOW, BLOCK, BUILT_IN, REVIEW


def policy(**rule: object) -> pb.ModerationPolicy:
    return pb.ModerationPolicy(name="strict", version=3, image_rule=pb.ImageRule(**rule))  # type: ignore[arg-type]


@pytest.mark.parametrize(("probability", "action"), [(0.49, ALLOW), (0.5, REVIEW), (0.84, REVIEW), (0.86, BLOCK)])
@pytest.mark.parametrize("by", [BUILT_IN, pb.ModerationPolicy(name="default")])
def test_a_policy_without_a_rule_has_the_built_in_one(by: pb.ModerationPolicy, probability: float, action: int) -> None:
    assert decide(by, Evidence(probability)).action == action


def test_zero_means_never() -> None:
    assert decide(policy(block_from=0.9), Evidence(0.89)).action == ALLOW
    assert decide(policy(review_from=0.2), Evidence(1.0)).action == REVIEW
    assert decide(policy(), Evidence(1.0)).action == ALLOW
    assert decide(policy(), Evidence(None)).action == ALLOW, "what has no say need not be known"


def test_labels_block_whatever_their_case_where_they_are_seen() -> None:
    by = policy(blocked_labels=["Rifle"])
    decision = decide(by, Evidence(0.0, seen=[Seen("rifle", 0.5, 7.0), Seen("cannon", 1.0)]))
    assert decision.action == BLOCK
    (reason,) = decision.reasons
    assert (reason.code, reason.time_seconds) == ("blocked_label", 7.0)
    assert decide(by, Evidence(0.0, seen=[Seen("rifle", 0.49)])).action == ALLOW
    assert (decision.policy, decision.policy_version) == ("strict", 3)


@pytest.mark.parametrize("evidence", [Evidence(None), Evidence(0.1, unsafe_all=False), Evidence(0.1, seen_all=False)])
@pytest.mark.parametrize(("when_unknown", "action"), [(0, REVIEW), (ALLOW, ALLOW), (BLOCK, BLOCK)])
def test_what_is_not_known_is_for_the_policy(evidence: Evidence, when_unknown: int, action: int) -> None:
    by = policy(review_from=0.5, blocked_labels=["rifle"])
    by.when_unknown = when_unknown  # type: ignore[assignment]  # a number of the enum
    assert decide(by, evidence).action == action
