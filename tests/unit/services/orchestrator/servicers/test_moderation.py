"""Moderation through gRPC, with the committed models behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.entertainment.v1 import moderation_service_pb2 as pb
from marquee_client import AsyncMarqueeClient, NotFound
from tests.support.clients import outcome_of
from tests.support.content_mesh import ContentMesh, ContentStubs, content_mesh
from tests.unit.services.orchestrator.servicers.test_content import GERMAN, ODD_TEXTS

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALLOW, REVIEW, BLOCK = pb.MODERATION_ACTION_ALLOW, pb.MODERATION_ACTION_REVIEW, pb.MODERATION_ACTION_BLOCK
RUDE = "you are a fucking idiot"


async def test_chat_is_allowed_or_blocked_with_reasons(stubs: ContentStubs) -> None:
    reply = await stubs.decide(
        "gg well played everyone",
        RUDE,
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
    "disguised",
    [
        "you are an 1d10t",
        "you are an i d i o t",
        "you are an i-d-i-o-t",
        "you are an іdіоt",
        "you are an i🔥d🔥i🔥o🔥t",
        "you are an iiidiiiooot",
        "you are an ｉｄｉｏｔ",
        "you are an i\u200bdi\u200bot",
        "you are an id*ot",  # codespell:ignore ot
        "YOU ARE AN IDIOT",
        "you are a toidi",
    ],
)
async def test_disguises_do_not_help(stubs: ContentStubs, disguised: str) -> None:
    assert (await stubs.decide(disguised)).decisions[0].action == BLOCK


@pytest.mark.parametrize(
    "harmless",
    [
        "Scunthorpe United won again",
        "the assassin class is so much fun",
        "assassin's creed is on sale",
        "kill the boss first, then loot the chest",
        "one cocktail please, shaken",
        "he'll be back in a minute",
        "what a banal spoof",
        "I am such a noob at this lol",
        "KEKW",
        "PogChamp that clutch",
        "👍",
        "❤️❤️ 🔥",
        "gg 👏👏",
        "Benedict Cumberbatch was great in Sherlock",
        "Essex, Sussex and Middlesex",
        "Nguyen Phuc passed to Takeshita and Fuchs",
        "I shot the zombie twice and it still hit me",
        "that café in Zürich was très bien 😀",
        "10/10, would play again :)",
        "push mid, drop the bomb, defuse it later",
    ],
)
async def test_harmless_chat_passes(stubs: ContentStubs, harmless: str) -> None:
    decision = (await stubs.decide(harmless)).decisions[0]
    assert decision.action == ALLOW, decision


async def test_a_message_is_decided_alike_alone_and_among_others(stubs: ContentStubs) -> None:
    messages = ["gg well played", RUDE, GERMAN, "i will find and kill you", *ODD_TEXTS.values()]
    together = (await stubs.decide(*messages)).decisions
    alone = [(await stubs.decide(message)).decisions[0] for message in messages]
    assert [each.action for each in together] == [each.action for each in alone]


@pytest.mark.parametrize("padding", ["nice game everyone. ", "😀", "gg! "])
async def test_nothing_hides_behind_a_long_beginning(stubs: ContentStubs, padding: str) -> None:
    beginning = padding * (4_000 // len(padding))
    (decision,) = (await stubs.decide(f"{beginning} {RUDE}")).decisions
    assert decision.action == BLOCK
    assert any("idiot" in span.text and span.start >= 3_900 for each in decision.reasons for span in each.spans)
    (harmless,) = (await stubs.decide(beginning)).decisions
    assert harmless.action == ALLOW


async def test_a_message_that_grows_when_it_is_read_costs_its_neighbours_nothing(stubs: ContentStubs) -> None:
    reply = await stubs.decide(ODD_TEXTS["ligatures that grow"], "gg well played", RUDE)
    assert [each.action for each in reply.decisions][1:] == [ALLOW, BLOCK]
    assert not reply.degraded


@pytest.mark.parametrize("odd", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_odd_messages_are_decided(stubs: ContentStubs, odd: str) -> None:
    reply = await stubs.decide(odd)
    (decision,) = reply.decisions
    assert decision.action in (ALLOW, REVIEW), decision
    assert not reply.degraded
    for reason in decision.reasons:
        assert all(odd[span.start : span.end] == span.text for span in reason.spans)


@pytest.mark.parametrize(
    ("fields", "field", "limit"),
    [
        ({"texts": []}, "texts", "at least 1"),
        ({"texts": ["fine", ""]}, "texts[1]", "empty"),
        ({"texts": [" \u3000"]}, "texts[0]", "white space"),
        ({"texts": ["x" * 1_000_000]}, "texts[0]", "10,000"),
        ({"texts": ["x"] * 257}, "texts", "256"),
        ({"texts": ["x"], "policy": "x" * 65}, "policy", "64"),
        ({"texts": ["x"], "language": "?"}, "language", "BCP 47"),
        (
            {"texts": ["x"], "dry_run": pb.ModerationPolicy(rules=[pb.CategoryRule(category="rude")])},
            "dry_run.rules[0].category",
            "insult",
        ),
    ],
)
async def test_bad_input_names_the_field_and_the_limit(
    stubs: ContentStubs, fields: dict[str, Any], field: str, limit: str
) -> None:
    outcome = await outcome_of(stubs.moderation.ModerateText(pb.ModerateTextRequest(**fields)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations[field]


async def test_lone_surrogates_are_refused_with_the_field(stubs: ContentStubs) -> None:
    sent = pb.ModerateTextRequest(texts=["fine", "@@@"]).SerializeToString().replace(b"@@@", b"\xed\xa0\x80")
    outcome = await outcome_of(stubs.raw("ModerationService/ModerateText", sent))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "texts[1]" in outcome.violations


async def test_a_policy_decides_and_a_dry_run_tells_what_would_change(stubs: ContentStubs) -> None:
    stored = await stubs.set_policy(blocked_phrases=["free skins"], rules=[], note="spam")
    assert stored.version == 1
    reply = await stubs.decide("FREE SKINS", RUDE)
    assert [decision.action for decision in reply.decisions] == [BLOCK, ALLOW]
    assert reply.policy_version == 1
    trial = pb.ModerationPolicy(rules=[pb.CategoryRule(category="toxic", block_from=0.5)])
    tried = await stubs.decide("FREE SKINS", RUDE, dry_run=trial)
    assert [decision.action for decision in tried.dry_run_decisions] == [ALLOW, BLOCK]
    assert [decision.action for decision in tried.decisions] == [BLOCK, ALLOW]
    assert tried.changed_count == 2
    assert (await stubs.decide(RUDE)).decisions[0].action == ALLOW, "a dry run stores nothing"


async def test_allowed_phrases_cause_nothing(stubs: ContentStubs) -> None:
    rules = [pb.CategoryRule(category="toxic", block_from=0.5)]
    await stubs.set_policy(rules=rules)
    assert (await stubs.decide("what an idiot")).decisions[0].action == BLOCK
    await stubs.set_policy(rules=rules, allowed_phrases=["idiot"])
    assert (await stubs.decide("what an idiot")).decisions[0].action == ALLOW


async def test_other_languages_are_for_the_policy_to_decide(stubs: ContentStubs) -> None:
    (decision,) = (await stubs.decide(GERMAN)).decisions
    assert decision.action == REVIEW
    assert [reason.code for reason in decision.reasons] == ["unsupported_language"]
    assert not decision.HasField("toxic_probability")
    await stubs.set_policy(when_unknown=ALLOW)
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
        ({"expected_version": -1}, "expected_version"),
    ],
)
async def test_a_bad_policy_is_refused(stubs: ContentStubs, policy: dict[str, Any], field: str) -> None:
    outcome = await outcome_of(stubs.set_policy(**policy))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in outcome.violations


async def test_of_two_writers_who_read_the_same_version_one_is_told(stubs: ContentStubs) -> None:
    await stubs.set_policy(note="first")
    outcomes = await asyncio.gather(
        *(outcome_of(stubs.set_policy(note=f"writer {number}", expected_version=1)) for number in range(8))
    )
    codes = [outcome.code for outcome in outcomes]
    assert codes.count(grpc.StatusCode.OK) == 1
    assert codes.count(grpc.StatusCode.FAILED_PRECONDITION) == 7
    listed = await stubs.moderation.ListModerationPolicies(pb.ListModerationPoliciesRequest(), metadata=stubs.metadata)
    assert [policy.version for policy in listed.policies] == [2, 1]


async def test_an_older_version_is_read_and_set_again(stubs: ContentStubs) -> None:
    await stubs.set_policy(blocked_phrases=["free skins"])
    await stubs.set_policy(blocked_phrases=["gold seller"])
    assert (await stubs.decide("free skins")).decisions[0].action == ALLOW
    old = await stubs.moderation.GetModerationPolicy(pb.GetModerationPolicyRequest(version=1), metadata=stubs.metadata)
    assert list(old.policy.blocked_phrases) == ["free skins"]
    request = pb.SetModerationPolicyRequest(policy=old.policy, expected_version=2)
    again = await stubs.moderation.SetModerationPolicy(request, metadata=stubs.metadata)
    assert again.policy.version == 3
    reply = await stubs.decide("free skins", "gold seller")
    assert [each.action for each in reply.decisions] == [BLOCK, ALLOW]
    assert reply.policy_version == 3


async def test_policies_that_were_never_set_are_not_found(stubs: ContentStubs) -> None:
    get = stubs.moderation.GetModerationPolicy
    for request in (pb.GetModerationPolicyRequest(name="strict"), pb.GetModerationPolicyRequest(version=7)):
        assert (await outcome_of(get(request, metadata=stubs.metadata))).code is grpc.StatusCode.NOT_FOUND
    assert (await outcome_of(stubs.decide("gg", policy="strict"))).code is grpc.StatusCode.NOT_FOUND
    built_in = (await get(pb.GetModerationPolicyRequest(), metadata=stubs.metadata)).policy
    assert (built_in.version, built_in.name) == (0, "default")
    assert built_in.rules


async def test_live_chat_is_decided_in_order_and_bad_messages_end_nothing(stubs: ContentStubs) -> None:
    bad = {5: "", 6: "x" * 1_000_000, 7: "\t"}

    async def messages() -> AsyncIterator[pb.StreamModerateTextRequest]:
        for number in range(100):
            text = bad.get(number, RUDE if number % 10 == 3 else f"nice move number {number}")
            yield pb.StreamModerateTextRequest(message_id=str(number), text=text)

    replies = [reply async for reply in stubs.moderation.StreamModerateText(messages())]
    assert [int(reply.message_id) for reply in replies] == list(range(100))
    blocked = {int(reply.message_id) for reply in replies if reply.decision.action == BLOCK}
    assert blocked == set(range(3, 100, 10))
    assert {int(reply.message_id) for reply in replies if reply.error} == set(bad)
    assert "10,000" in replies[6].error
    assert not replies[6].HasField("decision")


async def test_lone_surrogates_in_a_chat_are_refused_with_the_field(stubs: ContentStubs) -> None:
    sent = pb.StreamModerateTextRequest(text="@@@").SerializeToString().replace(b"@@@", b"\xed\xa0\x80")
    outcome = await outcome_of(stubs.raw_stream("ModerationService/StreamModerateText", sent))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "text" in outcome.violations


async def test_a_policy_that_is_set_while_a_chat_goes_on_decides_its_next_message(stubs: ContentStubs) -> None:
    to_send: asyncio.Queue[str] = asyncio.Queue()

    async def messages() -> AsyncIterator[pb.StreamModerateTextRequest]:
        while text := await to_send.get():
            yield pb.StreamModerateTextRequest(text=text)

    call = stubs.moderation.StreamModerateText(messages(), metadata=stubs.metadata)
    to_send.put_nowait("free skins")
    assert (await call.read()).decision.action == ALLOW
    await stubs.set_policy(blocked_phrases=["free skins"])
    to_send.put_nowait("free skins")
    assert (await call.read()).decision.action == BLOCK
    to_send.put_nowait("")
    assert await call.read() is grpc.aio.EOF


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"policy": "never-set"}, grpc.StatusCode.NOT_FOUND),
        ({"policy": "x" * 65}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"language": "?"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_a_chat_asks_for_is_checked_once_and_ends_it(
    stubs: ContentStubs, first: dict[str, Any], code: grpc.StatusCode
) -> None:
    async def messages() -> AsyncIterator[pb.StreamModerateTextRequest]:
        yield pb.StreamModerateTextRequest(text="what a film", **first)
        # grpc.aio puts an error of its own in place of the server's for a caller who goes on writing.
        await asyncio.sleep(60)

    async def read() -> list[Any]:
        return [reply async for reply in stubs.moderation.StreamModerateText(messages())]

    assert (await outcome_of(read())).code is code


async def test_the_client_says_what_the_server_said_to_a_chat_that_goes_on(served_content: ContentMesh) -> None:
    async def messages() -> AsyncIterator[tuple[str, str]]:
        for number in range(1_000):
            yield str(number), "gg"

    async with AsyncMarqueeClient(served_content.address) as client:
        with pytest.raises(NotFound, match="never-set"):
            await anext(aiter(client.moderate_chat(messages(), policy="never-set")))
        decided = [answer async for answer in client.moderate_chat(messages())]
    assert [answer.message_id for answer in decided] == [str(number) for number in range(1_000)]


@pytest.mark.parametrize(("with_text", "with_classical"), [(False, True), (True, False), (False, False)])
async def test_with_a_model_down_the_other_decides_and_with_both_the_policy(
    tmp_path: Path, *, with_text: bool, with_classical: bool
) -> None:
    long = "gg well played. " * 200
    async with content_mesh(tmp_path, with_text=with_text, with_classical=with_classical) as mesh:
        reply = await ContentStubs(mesh.orchestrator).decide(RUDE, "gg well played", long)
    rude, fine, longer = reply.decisions
    assert reply.degraded
    if with_text or with_classical:
        assert rude.action in (REVIEW, BLOCK)
        assert (fine.action, longer.action) == (ALLOW, ALLOW)
    else:
        assert (rude.action, fine.action) == (REVIEW, REVIEW)
        assert rude.reasons[0].code == "unavailable"
