"""A tenant's moderation policy: checks, the built-in one, and what it decides on one message."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.image_rule import BUILT_IN_IMAGE_RULE, check_image_rule
from services.orchestrator.content.moderation.lexicon import load_lexicon
from services.orchestrator.content.moderation.toxicity import TOXIC, Finding, Place, Reading
from services.runtime.validation import Violations

DEFAULT_NAME = "default"
CATEGORIES = (TOXIC, "profanity", "insult", "sexual", "identity_attack", "threat")
ALLOW, REVIEW, BLOCK = pb.MODERATION_ACTION_ALLOW, pb.MODERATION_ACTION_REVIEW, pb.MODERATION_ACTION_BLOCK
MOST_PHRASES = 1_000
_NAME = re.compile(r"[a-z0-9-]{1,64}")

BUILT_IN = pb.ModerationPolicy(
    name=DEFAULT_NAME,
    rules=[
        pb.CategoryRule(category=TOXIC, review_from=0.5, block_from=0.85),
        pb.CategoryRule(category="threat", review_from=0.5, block_from=0.8),
        pb.CategoryRule(category="identity_attack", review_from=0.4, block_from=0.7),
    ],
    # Words of chats that the models, which met few of them, take for insults or for disguises of some.
    allowed_phrases=["5head", "afk", "kekw", "noob", "noobs", "pog", "pogchamp", "poggers", "sus", "widepeepohappy"],
    when_unknown=REVIEW,
    image_rule=BUILT_IN_IMAGE_RULE,
    note="built in: decides until the tenant sets one",
)
"""Version 0."""


def check_policy(check: Violations, field: str, policy: pb.ModerationPolicy, *, named: bool = True) -> None:
    """Record what is wrong with a policy."""
    if named and not _NAME.fullmatch(policy.name):
        check.add(f"{field}.name", "is no policy name: 1 to 64 characters of a-z, 0-9 and '-'")
    if check.count(f"{field}.rules", policy.rules, maximum=len(CATEGORIES)):
        check.unique(f"{field}.rules", [rule.category for rule in policy.rules])
    for index, rule in enumerate(policy.rules[: len(CATEGORIES)]):
        name = f"{field}.rules[{index}]"
        if rule.category not in CATEGORIES:
            check.add(f"{name}.category", f"is {rule.category[:50]!r}; there are: {', '.join(CATEGORIES)}")
        check.within(f"{name}.review_from", rule.review_from, 0, 1)
        check.within(f"{name}.block_from", rule.block_from, 0, 1)
        if rule.block_from and rule.block_from < rule.review_from:
            check.add(f"{name}.block_from", f"is {rule.block_from:g}, below review_from {rule.review_from:g}")
    for kind, phrases in (("blocked_phrases", policy.blocked_phrases), ("allowed_phrases", policy.allowed_phrases)):
        if check.count(f"{field}.{kind}", phrases, maximum=MOST_PHRASES):
            for index, phrase in enumerate(phrases):
                check.text(f"{field}.{kind}[{index}]", phrase, minimum=2, maximum=100)
    if policy.when_unknown not in pb.ModerationAction.values():
        check.add(f"{field}.when_unknown", f"is {policy.when_unknown}, which is no action that this version knows")
    if policy.HasField("image_rule"):
        check_image_rule(check, f"{field}.image_rule", policy.image_rule)
    check.text(f"{field}.note", policy.note, minimum=0, maximum=500)


def decide(
    policy: pb.ModerationPolicy, text: str, reading: Reading, unknown: tuple[str, str] | None
) -> pb.ModerationDecision:
    """Decide on one message.

    Args:
        policy: a checked policy.
        text: the message.
        reading: what the models said.
        unknown: why the models cannot say anything of the message or of its end, as (code, sentence); None when they
            read all of it.
    """
    decision = pb.ModerationDecision(action=ALLOW)
    if reading.canonical.disguised:
        decision.read_as = reading.canonical.text
    blocked = _phrases(tuple(policy.blocked_phrases), text, reading)
    if blocked:
        _reason(decision, "blocked_phrase", "holds a phrase that the policy blocks", BLOCK, 1.0, blocked, text)
    if unknown is not None:
        code, sentence = unknown
        _reason(decision, code, sentence, policy.when_unknown or REVIEW, 0.0, (), text)
    findings = _without_allowed(policy, text, reading)
    if TOXIC in findings:
        decision.toxic_probability = findings[TOXIC].probability
    for rule in policy.rules:
        found = findings.get(rule.category)
        if found is None:
            continue
        action = _action(rule, found.probability)
        if action != ALLOW:
            sentence = f"{rule.category.replace('_', ' ')}: probability {found.probability:.2f}"
            _reason(decision, rule.category, sentence, action, found.probability, found.spans, text)
    return decision


def _action(rule: pb.CategoryRule, probability: float) -> pb.ModerationAction.ValueType:
    if rule.block_from and probability >= rule.block_from:
        return BLOCK
    return REVIEW if rule.review_from and probability >= rule.review_from else ALLOW


def _reason(
    decision: pb.ModerationDecision,
    code: str,
    sentence: str,
    action: pb.ModerationAction.ValueType,
    probability: float,
    spans: Sequence[Place],
    text: str,
) -> None:
    decision.action = max(decision.action, action)
    if action != ALLOW:
        reason = decision.reasons.add(code=code, message=sentence, action=action, probability=probability)
        for start, end in spans:
            reason.spans.add(start=start, end=end, text=text[start:end])


def _without_allowed(policy: pb.ModerationPolicy, text: str, reading: Reading) -> Mapping[str, Finding]:
    """Return the findings that something else than an allowed phrase caused."""
    allowed = _phrases(tuple(policy.allowed_phrases), text, reading)
    if not allowed:
        return reading.findings

    def covered(place: Place) -> bool:
        return any(start <= place[0] and place[1] <= end for start, end in allowed)

    return {
        category: found
        for category, found in reading.findings.items()
        if not found.spans or not all(map(covered, found.spans))
    }


def _phrases(phrases: tuple[str, ...], text: str, reading: Reading) -> list[Place]:
    """Return where phrases stand, as written or with disguises off; whole words, whatever their case."""
    pattern = _pattern(phrases)
    if pattern is None:
        return []
    found = {match.span() for match in pattern.finditer(text)}
    found |= {reading.canonical.place(*match.span()) for match in pattern.finditer(reading.canonical.text)}
    return sorted(found)


@lru_cache(maxsize=512)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    if not phrases:
        return None
    lexicon = load_lexicon()
    # A phrase is found in the form that the reader of disguises gives it too; nothing is left of one that nobody sees.
    forms = {" ".join(form.split()) for phrase in phrases for form in (phrase, canonical(phrase, lexicon).text)} - {""}
    # By first character, so that a word is compared with a few phrases and not with a thousand; longer ones first.
    groups: dict[str, list[str]] = defaultdict(list)
    for form in sorted(forms, key=len, reverse=True):
        groups[form[0].lower()].append(re.escape(form[1:]).replace(r"\ ", r"\s+"))
    body = "|".join(f"{re.escape(first)}(?:{'|'.join(rests)})" for first, rests in groups.items())
    return re.compile(rf"(?<!\w)(?:{body})(?!\w)", re.IGNORECASE)
