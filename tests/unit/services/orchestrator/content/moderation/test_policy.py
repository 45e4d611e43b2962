from __future__ import annotations

import time
from typing import Any

import pytest

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.moderation.policy import (
    ALLOW,
    BLOCK,
    BUILT_IN,
    CATEGORIES,
    REVIEW,
    check_policy,
    decide,
)
from services.orchestrator.content.moderation.toxicity import Finding, Reading
from services.runtime.validation import Violations


def reading(text: str, **found: tuple[float, tuple[tuple[int, int], ...]]) -> Reading:
    """A message whose models said these probabilities and spans by kind."""
    findings = {name: Finding(probability, spans) for name, (probability, spans) in found.items()}
    return Reading(canonical(text, load_lexicon()), findings)


def decision(policy: pb.ModerationPolicy, text: str, **found: Any) -> pb.ModerationDecision:
    return decide(policy, text, reading(text, **found), None)


def test_the_built_in_policy_is_a_valid_one() -> None:
    check = Violations()
    check_policy(check, "policy", BUILT_IN)
    assert not check.found
    assert BUILT_IN.version == 0


@pytest.mark.parametrize(
    ("probability", "action"), [(0.49, ALLOW), (0.5, REVIEW), (0.84, REVIEW), (0.86, BLOCK), (1, BLOCK)]
)
def test_thresholds_count_from_their_own_value_on(probability: float, action: int) -> None:
    found = decision(BUILT_IN, "some message", toxic=(probability, ((0, 4),)))
    assert found.action == action
    assert found.toxic_probability == pytest.approx(probability)
    assert bool(found.reasons) == (action != ALLOW)


def test_the_hardest_rule_decides_and_every_reason_says_what_it_alone_would_do() -> None:
    found = decision(BUILT_IN, "you", toxic=(0.6, ((0, 3),)), threat=(0.9, ()), identity_attack=(0.1, ()))
    assert found.action == BLOCK
    assert {reason.code: reason.action for reason in found.reasons} == {"toxic": REVIEW, "threat": BLOCK}
    assert [span.text for span in found.reasons[0].spans] == ["you"]


def test_a_kind_without_a_rule_and_a_threshold_of_zero_have_no_say() -> None:
    policy = pb.ModerationPolicy(rules=[pb.CategoryRule(category="toxic", review_from=0, block_from=0.9)])
    assert decision(policy, "x y", toxic=(0.89, ()), threat=(1.0, ())).action == ALLOW
    assert decision(policy, "x y", toxic=(0.9, ())).action == BLOCK


@pytest.mark.parametrize(
    "message",
    [
        "get FREE SKINS now",
        "free  skins",
        "free\tskins!",
        "fr\u200bee skins",
        "\uff46\uff52\uff45\uff45 skins",
        "(free skins)",
    ],
)
def test_a_blocked_phrase_is_found_whatever_its_case_and_spaces(message: str) -> None:
    found = decision(pb.ModerationPolicy(blocked_phrases=["free skins"]), message)
    assert found.action == BLOCK
    assert found.reasons[0].code == "blocked_phrase"
    assert found.reasons[0].spans[0].text.strip()


@pytest.mark.parametrize("message", ["carefree skins", "free skinsuit", "free of skins", "skins free"])
def test_a_phrase_is_whole_words(message: str) -> None:
    assert decision(pb.ModerationPolicy(blocked_phrases=["free skins"]), message).action == ALLOW


@pytest.mark.parametrize("unseen", ["\u200b\u200b", "\u202e\u202d", "\u00ad\u2060"])
def test_a_phrase_that_nobody_sees_blocks_no_other_message(unseen: str) -> None:
    policy = pb.ModerationPolicy(blocked_phrases=[unseen])
    assert decision(policy, "hello there, everyone").action == ALLOW


def test_what_an_allowed_phrase_covers_causes_nothing_and_what_is_beside_it_does() -> None:
    policy = pb.ModerationPolicy(rules=BUILT_IN.rules, allowed_phrases=["noob"])
    assert decision(policy, "you noob", toxic=(0.9, ((4, 8),))).action == ALLOW
    assert decision(policy, "you noob idiot", toxic=(0.9, ((4, 8), (9, 14)))).action == BLOCK
    assert decision(policy, "you noob", toxic=(0.9, ())).action == BLOCK, "nobody knows what caused it"


def test_what_nobody_can_read_is_for_the_policy_and_phrases_still_count() -> None:
    why = ("unsupported_language", "no loaded model knows the language 'de'")
    for action in (ALLOW, REVIEW, BLOCK):
        found = decide(pb.ModerationPolicy(when_unknown=action), "hallo", reading("hallo"), why)
        assert found.action == action
        assert not found.HasField("toxic_probability")
    unset = decide(pb.ModerationPolicy(), "hallo", reading("hallo"), why)
    assert (unset.action, [reason.code for reason in unset.reasons]) == (REVIEW, ["unsupported_language"])
    blocked = pb.ModerationPolicy(when_unknown=ALLOW, blocked_phrases=["hallo"])
    assert decide(blocked, "hallo", reading("hallo"), why).action == BLOCK


def test_what_was_found_in_the_part_that_was_read_counts_when_the_rest_was_not() -> None:
    found = decide(BUILT_IN, "you", reading("you", toxic=(0.95, ())), ("unavailable", "not to the end"))
    assert found.action == BLOCK
    assert {reason.code for reason in found.reasons} == {"unavailable", "toxic"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rules": [pb.CategoryRule(category=name) for name in (*CATEGORIES, "toxic")]}, "policy.rules"),
        ({"rules": [pb.CategoryRule(category="toxic", review_from=float("nan"))]}, "policy.rules[0].review_from"),
        ({"rules": [pb.CategoryRule(category="toxic", block_from=-0.1)]}, "policy.rules[0].block_from"),
        ({"blocked_phrases": ["  "]}, "policy.blocked_phrases[0]"),
        ({"allowed_phrases": ["x" * 101]}, "policy.allowed_phrases[0]"),
        ({"allowed_phrases": ["ok"] * 1_001}, "policy.allowed_phrases"),
        ({"name": ""}, "policy.name"),
        ({"name": "x" * 65}, "policy.name"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named(fields: dict[str, Any], field: str) -> None:
    check = Violations()
    check_policy(check, "policy", pb.ModerationPolicy(**{"name": "default", **fields}))
    assert field in [found.field for found in check.found]


def test_a_thousand_phrases_are_looked_for_in_milliseconds() -> None:
    words = sorted(load_lexicon().known)
    phrases = [f"{words[7 * number]} {words[11 * number + 5]}" for number in range(1_000)]
    policy = pb.ModerationPolicy(blocked_phrases=phrases)
    text = " ".join(words[3::40])[:9_000]
    decision(policy, text)
    read = reading(text)
    begun = time.process_time()
    decide(policy, text, read, None)
    assert time.process_time() - begun < 0.05
    assert decision(policy, f"{text} {phrases[500].upper()} and more").action == BLOCK
