"""Analysis through gRPC, with the committed models behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from marquee.entertainment.v1 import content_service_pb2 as pb
from tests.support.clients import outcome_of
from tests.support.content_mesh import ContentStubs, content_mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

GERMAN = "Das ist wirklich ein sehr guter Film, den ich gerne noch einmal sehen möchte."  # codespell:ignore ist
EVERY_FEATURE = {pb.TEXT_FEATURE_SENTIMENT, pb.TEXT_FEATURE_EMOTION, pb.TEXT_FEATURE_TOXICITY}


async def test_an_analysis_says_what_a_reader_would(stubs: ContentStubs) -> None:
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


async def test_only_what_is_asked_is_answered(stubs: ContentStubs) -> None:
    tags = ["space adventure", "cooking show"]
    reply = await stubs.analyze("A crew lost between the stars", features=[pb.TEXT_FEATURE_TAGS], tags=tags)
    (analysis,) = reply.analyses
    assert [tag.tag for tag in analysis.tags] == tags
    assert not analysis.HasField("sentiment")
    assert not analysis.HasField("language")


async def test_a_language_that_no_model_knows_is_not_guessed_at(stubs: ContentStubs) -> None:
    reply = await stubs.analyze(GERMAN)
    (analysis,) = reply.analyses
    assert analysis.language.code == "de"
    assert not analysis.HasField("sentiment")
    assert not analysis.emotions
    assert {failure.feature for failure in analysis.failures} == EVERY_FEATURE
    assert {failure.reason for failure in analysis.failures} == {"unsupported_language"}
    assert not reply.degraded, "nothing of ours failed"
    (said,) = (await stubs.analyze("what a great film", language="fr")).analyses
    assert said.failures


async def test_one_foreign_text_costs_its_neighbours_nothing(stubs: ContentStubs) -> None:
    texts = ["what a great film", GERMAN, "a dull and lifeless mess"]
    together = (await stubs.analyze(*texts)).analyses
    alone = [(await stubs.analyze(text)).analyses[0] for text in texts]
    assert [each.sentiment.label for each in together] == [each.sentiment.label for each in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.sentiment.score == pytest.approx(other.sentiment.score, abs=0.01)


async def test_the_end_that_was_not_read_is_said(stubs: ContentStubs) -> None:
    long = "this film was long and slow. " * 200
    for feature in EVERY_FEATURE - {pb.TEXT_FEATURE_TOXICITY}:
        short, cut = (await stubs.analyze("this film was long", long, features=[feature])).analyses
        assert (short.truncated, cut.truncated) == (False, True)
    tagged = await stubs.analyze("this film", long, features=[pb.TEXT_FEATURE_TAGS], tags=["slow film", "car chase"])
    assert [each.truncated for each in tagged.analyses] == [False, True]


async def test_toxicity_at_the_end_of_a_long_text_is_found_where_it_stands(stubs: ContentStubs) -> None:
    text = "the story goes on and on. " * 150 + "you are a stupid idiot"
    (analysis,) = (await stubs.analyze(text, features=[pb.TEXT_FEATURE_TOXICITY])).analyses
    assert analysis.toxicity[0].probability > 0.8
    assert any("idiot" in span.text and span.start > 3_800 for span in analysis.toxicity[0].spans)
    assert not analysis.truncated


@pytest.mark.parametrize(
    ("fields", "field", "limit"),
    [
        ({"texts": []}, "texts", "at least 1"),
        ({"texts": [""]}, "texts[0]", "empty"),
        ({"texts": ["a", " \t\n"]}, "texts[1]", "white space"),
        ({"texts": ["x" * 1_000_000]}, "texts[0]", "10,000"),
        ({"texts": ["x"] * 257}, "texts", "256"),
        ({"texts": ["x"], "features": [99]}, "features[0]", "99"),
        ({"texts": ["x"], "features": [pb.TEXT_FEATURE_TAGS]}, "tags", "at least 2"),
        ({"texts": ["x"], "tags": [str(number) for number in range(10_000)]}, "tags", "100"),
        ({"texts": ["x"], "tags": ["a", "x" * 201]}, "tags[1]", "200"),
        ({"texts": ["x"], "tags": ["a", "a"]}, "tags[1]", "repeats"),
        ({"texts": ["x"], "tags": ["a", "b"], "tag_count": -1}, "tag_count", "negative"),
        ({"texts": ["x"], "language": "klingon!"}, "language", "BCP 47"),
        ({"texts": ["x"], "language": "en" + "-aaaaaaaa" * 100_000}, "language", "35"),
    ],
)
async def test_bad_input_names_the_field_and_the_limit(
    stubs: ContentStubs, fields: dict[str, Any], field: str, limit: str
) -> None:
    outcome = await outcome_of(stubs.content.AnalyzeText(pb.AnalyzeTextRequest(**fields)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations[field]


async def test_lone_surrogates_are_refused_with_the_field(stubs: ContentStubs) -> None:
    # Python's own library does not send them; others do: the bytes of U+D800.
    sent = pb.AnalyzeTextRequest(texts=["fine", "@@@"]).SerializeToString().replace(b"@@@", b"\xed\xa0\x80")
    outcome = await outcome_of(stubs.raw("ContentService/AnalyzeText", sent))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "texts[1]" in outcome.violations


ODD_TEXTS = {
    "right to left": "\u202egnorw si siht\u202c",
    "without width": "\u200b\u200c\u2060",
    "control characters": "\x07\x00bell\x1b[31m",
    "Chinese": "这部电影非常好看",
    "mixed scripts": "great фильм 映画 great film",
    "emoji": "🎬🍿👩‍👩‍👧‍👦🇩🇪",
    "combining": "a" + "\u0301" * 500,
    "one long word": "x" * 10_000,
    "ligatures that grow": "nice " + "\ufdfa" * 5_000 + "film" * 1_000,
    "beyond the basic plane": "\U0001d41f\U00010348" * 2_000,
    "not characters": "\uffff\ufffe film",
}


@pytest.mark.parametrize("odd", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_odd_texts_are_answered_and_change_no_neighbour(stubs: ContentStubs, odd: str) -> None:
    strange, plain = (await stubs.analyze(odd, "what a great film", tags=["film", "food"])).analyses
    assert plain.sentiment.label == "positive"
    assert not plain.failures
    assert {failure.reason for failure in strange.failures} <= {"unsupported_language"}
    for toxicity in strange.toxicity:
        assert all(odd[span.start : span.end] == span.text for span in toxicity.spans)


async def test_chinese_is_said_to_be_chinese(stubs: ContentStubs) -> None:
    (analysis,) = (await stubs.analyze(ODD_TEXTS["Chinese"])).analyses
    assert analysis.language.code == "zh"
    assert len(analysis.failures) == len(EVERY_FEATURE)


async def test_a_stream_answers_in_order_and_survives_bad_messages(stubs: ContentStubs) -> None:
    bad = {7: "", 8: " \n", 9: "x" * 1_000_000, 10: ODD_TEXTS["Chinese"]}

    async def messages() -> AsyncIterator[pb.StreamAnalyzeTextRequest]:
        for number in range(100):
            text = bad.get(number, f"what a great film number {number}")
            yield pb.StreamAnalyzeTextRequest(message_id=str(number), text=text)
        yield pb.StreamAnalyzeTextRequest(message_id="x" * 129, text="what a great film")

    replies = [reply async for reply in stubs.content.StreamAnalyzeText(messages())]
    assert [reply.message_id for reply in replies[:-1]] == [str(number) for number in range(100)]
    assert "text is empty" in replies[7].error
    assert "white space" in replies[8].error
    assert "10,000" in replies[9].error
    assert not replies[9].HasField("analysis")
    assert not replies[10].error
    assert replies[10].analysis.failures
    assert "message_id" in replies[100].error
    good = [reply for number, reply in enumerate(replies) if number not in bad and number < 100]
    assert all(reply.analysis.sentiment.label == "positive" for reply in good)


@pytest.mark.parametrize(
    ("first", "field"),
    [
        ({"tags": [str(number) for number in range(10_000)]}, "tags"),
        ({"features": [pb.TEXT_FEATURE_TAGS]}, "tags"),
        ({"features": [99]}, "features[0]"),
        ({"language": "?"}, "language"),
    ],
)
async def test_what_a_stream_asks_for_is_checked_once_and_ends_it(
    stubs: ContentStubs, first: dict[str, Any], field: str
) -> None:
    async def messages() -> AsyncIterator[pb.StreamAnalyzeTextRequest]:
        yield pb.StreamAnalyzeTextRequest(text="what a film", **first)
        # grpc.aio puts an error of its own in place of the server's for a caller who goes on writing.
        await asyncio.sleep(60)

    async def read() -> list[Any]:
        return [reply async for reply in stubs.content.StreamAnalyzeText(messages())]

    outcome = await outcome_of(read())
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in outcome.violations


async def test_lone_surrogates_in_a_stream_are_refused_with_the_field(stubs: ContentStubs) -> None:
    sent = pb.StreamAnalyzeTextRequest(text="@@@").SerializeToString().replace(b"@@@", b"\xed\xa0\x80")
    outcome = await outcome_of(stubs.raw_stream("ContentService/StreamAnalyzeText", sent))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "text" in outcome.violations


async def test_with_a_service_down_its_features_are_named_and_the_others_answer(tmp_path: Path) -> None:
    async with content_mesh(tmp_path, with_text=False) as mesh:
        reply = await ContentStubs(mesh.orchestrator).analyze("you are a stupid idiot", GERMAN)
    insult, german = reply.analyses
    assert reply.degraded
    assert {failure.feature: failure.reason for failure in insult.failures} == {
        pb.TEXT_FEATURE_SENTIMENT: "unavailable",
        pb.TEXT_FEATURE_EMOTION: "unavailable",
    }
    assert insult.toxicity[0].category == "toxic", "the classical service still knows words"
    assert {failure.reason for failure in german.failures} == {"unsupported_language"}
