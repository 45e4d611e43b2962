"""Analysis and moderation through gRPC, with the committed models behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.entertainment.v1 import content_service_pb2 as content_pb
from marquee.entertainment.v1 import moderation_service_pb2 as pb
from marquee.entertainment.v1.content_service_pb2_grpc import ContentServiceStub
from marquee.entertainment.v1.moderation_service_pb2_grpc import ModerationServiceStub
from tests.support.clients import outcome_of
from tests.support.content_mesh import content_mesh

ALLOW, REVIEW, BLOCK = pb.MODERATION_ACTION_ALLOW, pb.MODERATION_ACTION_REVIEW, pb.MODERATION_ACTION_BLOCK
GERMAN = "Das ist wirklich ein sehr guter Film, den ich gerne noch einmal sehen möchte."  # codespell:ignore ist


class Stubs:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.content: Any = ContentServiceStub(channel)
        self.moderation: Any = ModerationServiceStub(channel)

    async def analyze(self, *texts: str, **options: Any) -> Any:
        return await self.content.AnalyzeText(content_pb.AnalyzeTextRequest(texts=texts, **options))

    async def decide(self, *texts: str, **options: Any) -> Any:
        return await self.moderation.ModerateText(pb.ModerateTextRequest(texts=texts, **options))

    async def set(self, **fields: Any) -> Any:
        policy = pb.ModerationPolicy(**{"name": "default", **fields})
        return await self.moderation.SetModerationPolicy(pb.SetModerationPolicyRequest(policy=policy))


@pytest.fixture
async def stubs(tmp_path: Path) -> AsyncIterator[Stubs]:
    async with content_mesh(tmp_path) as mesh:
        yield Stubs(mesh.orchestrator)


async def test_an_analysis_says_what_a_reader_would(stubs: Stubs) -> None:
    reply = await stubs.analyze(
        "What a gorgeous, witty and moving film. I loved every minute!",
        "A dull, lifeless mess. I want my money back.",
        "Thank you so much, you saved my evening!",
        "you are a stupid idiot",
    )
    good, bad, thanks, insult = reply.analyses
    assert not reply.degraded
    assert (good.sentiment.label, bad.sentiment.label) == ("positive", "negative")
    assert good.sentiment.score > 0.3 > -0.3 > bad.sentiment.score
    assert good.sentiment.magnitude > good.sentiment.score
    assert "gratitude" in {each.label for each in thanks.emotions}
    assert not good.toxicity
    assert insult.toxicity[0].probability > 0.8
    assert any("idiot" in span.text for each in insult.toxicity for span in each.spans)
    assert {analysis.language.code for analysis in reply.analyses} == {"en"}


async def test_only_what_is_asked_is_answered(stubs: Stubs) -> None:
    tags = ["space adventure", "cooking show"]
    (analysis,) = (
        await stubs.analyze("A crew lost between the stars", features=[content_pb.TEXT_FEATURE_TAGS], tags=tags)
    ).analyses
    assert [tag.tag for tag in analysis.tags] == tags
    assert not analysis.HasField("sentiment")
    assert not analysis.HasField("language")


async def test_a_language_that_no_model_knows_is_not_guessed_at(stubs: Stubs) -> None:
    (analysis,) = (await stubs.analyze(GERMAN)).analyses
    assert analysis.language.code == "de"
    assert not analysis.HasField("sentiment")
    assert not analysis.emotions
    assert {failure.reason for failure in analysis.failures} == {"unsupported_language"}
    (said,) = (await stubs.analyze("what a great film", language="fr")).analyses
    assert said.failures


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"texts": []}, "texts"),
        ({"texts": ["a", " "]}, "texts[1]"),
        ({"texts": ["x" * 1_000_000]}, "texts[0]"),
        ({"texts": ["x"] * 257}, "texts"),
        ({"texts": ["x"], "features": [99]}, "features[0]"),
        ({"texts": ["x"], "features": [content_pb.TEXT_FEATURE_TAGS]}, "tags"),
        ({"texts": ["x"], "tags": [str(number) for number in range(10_000)]}, "tags"),
        ({"texts": ["x"], "tags": ["a", "a"]}, "tags[1]"),
        ({"texts": ["x"], "tags": ["a", "b"], "tag_count": -1}, "tag_count"),
        ({"texts": ["x"], "language": "klingon!"}, "language"),
    ],
)
async def test_bad_input_names_the_field(stubs: Stubs, fields: dict[str, Any], field: str) -> None:
    outcome = await outcome_of(stubs.content.AnalyzeText(content_pb.AnalyzeTextRequest(**fields)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in outcome.violations


@pytest.mark.parametrize(
    "odd",
    [
        "\u202egnorw si siht\u202c",
        "\u200b\u200c",
        "\x07\x00bell",
        "日本語",
        "🎬🍿",
        "a\u0301\u0301\u0301",
        "x" * 10_000,
    ],
)
async def test_odd_texts_are_answered(stubs: Stubs, odd: str) -> None:
    assert len((await stubs.analyze(odd)).analyses) == 1
    assert len((await stubs.decide(odd)).decisions) == 1


async def test_a_stream_answers_in_order_and_survives_a_bad_message(stubs: Stubs) -> None:
    async def messages() -> AsyncIterator[content_pb.StreamAnalyzeTextRequest]:
        for number in range(200):
            text = "" if number == 7 else f"what a great film number {number}"
            yield content_pb.StreamAnalyzeTextRequest(message_id=str(number), text=text)

    replies = [reply async for reply in stubs.content.StreamAnalyzeText(messages())]
    assert [reply.message_id for reply in replies] == [str(number) for number in range(200)]
    assert "empty" in replies[7].error
    assert not replies[7].HasField("analysis")
    assert all(reply.analysis.sentiment.label == "positive" for reply in replies if not reply.error)


async def test_chat_is_allowed_or_blocked_with_reasons(stubs: Stubs) -> None:
    reply = await stubs.decide(
        "gg well played everyone",
        "you are a fucking idiot",
        "you are a f.u.c.k.i.n.g 1d10t",
        "i will find and kill you",
    )
    fine, rude, disguised, threat = reply.decisions
    assert fine.action == ALLOW
    assert not fine.reasons
    assert rude.action == BLOCK
    assert disguised.action == BLOCK
    assert "idiot" in disguised.read_as
    assert any(span.text == "1d10t" for reason in disguised.reasons for span in reason.spans)
    assert threat.action in (REVIEW, BLOCK)
    assert reply.policy_version == 0


@pytest.mark.parametrize(
    "harmless",
    [
        "Scunthorpe United won again",
        "the assassin class is so much fun",
        "kill the boss first, then loot the chest",
        "that headshot was insane, well done",
        "Dick Van Dyke was great in Mary Poppins",
        "Essex, Sussex and Middlesex",
    ],
)
async def test_harmless_chat_passes(stubs: Stubs, harmless: str) -> None:
    assert (await stubs.decide(harmless)).decisions[0].action == ALLOW


async def test_a_policy_decides_and_a_dry_run_tells_what_would_change(stubs: Stubs) -> None:
    stored = (await stubs.set(blocked_phrases=["free skins"], rules=[], note="spam")).policy
    assert stored.version == 1
    reply = await stubs.decide("get fr33 skins here", "FREE SKINS", "you are a fucking idiot")
    assert [decision.action for decision in reply.decisions][1:] == [BLOCK, ALLOW]
    assert reply.policy_version == 1
    trial = pb.ModerationPolicy(rules=[pb.CategoryRule(category="toxic", block_from=0.5)])
    tried = await stubs.decide("FREE SKINS", "you are a fucking idiot", dry_run=trial)
    assert [decision.action for decision in tried.dry_run_decisions] == [ALLOW, BLOCK]
    assert tried.changed_count == 2
    assert (await stubs.decide("you are a fucking idiot")).decisions[0].action == ALLOW, "a dry run stores nothing"


async def test_allowed_phrases_cause_nothing(stubs: Stubs) -> None:
    rules = [pb.CategoryRule(category="toxic", block_from=0.5)]
    await stubs.set(rules=rules)
    assert (await stubs.decide("what an idiot")).decisions[0].action == BLOCK
    await stubs.set(rules=rules, allowed_phrases=["idiot"])
    assert (await stubs.decide("what an idiot")).decisions[0].action == ALLOW


async def test_other_languages_are_for_the_policy_to_decide(stubs: Stubs) -> None:
    (decision,) = (await stubs.decide(GERMAN)).decisions
    assert decision.action == REVIEW
    assert [reason.code for reason in decision.reasons] == ["unsupported_language"]
    await stubs.set(when_unknown=ALLOW)
    assert (await stubs.decide(GERMAN)).decisions[0].action == ALLOW


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"name": "No Name!"}, "policy.name"),
        ({"rules": [pb.CategoryRule(category="rude")]}, "policy.rules[0].category"),
        ({"rules": [pb.CategoryRule(category="toxic", review_from=2)]}, "policy.rules[0].review_from"),
        (
            {"rules": [pb.CategoryRule(category="toxic", review_from=0.8, block_from=0.5)]},
            "policy.rules[0].block_from",
        ),
        ({"rules": [pb.CategoryRule(category="toxic")] * 2}, "policy.rules[1]"),
        ({"blocked_phrases": ["x"]}, "policy.blocked_phrases[0]"),
        ({"blocked_phrases": ["xx"] * 1_001}, "policy.blocked_phrases"),
        ({"when_unknown": 9}, "policy.when_unknown"),
        ({"note": "x" * 501}, "policy.note"),
    ],
)
async def test_a_bad_policy_is_refused(stubs: Stubs, policy: dict[str, Any], field: str) -> None:
    outcome = await outcome_of(stubs.set(**policy))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in outcome.violations


async def test_live_chat_is_decided_in_order_and_by_the_newest_policy(stubs: Stubs) -> None:
    async def messages() -> AsyncIterator[pb.StreamModerateTextRequest]:
        for number in range(100):
            text = "you are a fucking idiot" if number % 10 == 3 else f"nice move number {number}"
            yield pb.StreamModerateTextRequest(message_id=str(number), text=text)

    replies = [reply async for reply in stubs.moderation.StreamModerateText(messages())]
    assert [int(reply.message_id) for reply in replies] == list(range(100))
    blocked = {int(reply.message_id) for reply in replies if reply.decision.action == BLOCK}
    assert blocked == set(range(3, 100, 10))


@pytest.mark.parametrize(("with_text", "with_classical"), [(False, True), (True, False), (False, False)])
async def test_with_a_model_down_the_other_decides_and_with_both_the_policy(
    tmp_path: Path, *, with_text: bool, with_classical: bool
) -> None:
    async with content_mesh(tmp_path, with_text=with_text, with_classical=with_classical) as mesh:
        reply = await Stubs(mesh.orchestrator).decide("you are a fucking idiot", "gg well played")
    rude, fine = reply.decisions
    assert reply.degraded
    if with_text or with_classical:
        assert rude.action in (REVIEW, BLOCK)
        assert fine.action == ALLOW
    else:
        assert (rude.action, fine.action) == (REVIEW, REVIEW)
        assert rude.reasons[0].code == "unavailable"
