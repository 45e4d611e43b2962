"""The committed models for understanding through the text service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1.text_service_pb2_grpc import TextServiceStub
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.clients import outcome_of
from tests.support.servers import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTIMENT, EMOTION, TOXICITY = (
    pb.UNDERSTANDING_TASK_SENTIMENT,
    pb.UNDERSTANDING_TASK_EMOTION,
    pb.UNDERSTANDING_TASK_TOXICITY,
)
SMALL_MODELS = ("recurrent-sentiment", "word-embedding-sentiment")
MODELS = ("minilm-understanding", *SMALL_MODELS)
ODD_TEXTS = {
    "no width": "\u200b\u200c",
    "control": "\x00\x07 bell",
    "right to left": "\u202emlif taerg a",
    "Chinese": "这部电影非常好看",
    "mixed scripts": "great фильм 映画",
    "emoji": "🎬🍿👩‍👩‍👧‍👦",
    "one long word": "x" * 10_000,
    "combining": "\u0301" * 3_000,
    "signs": "!" * 10_000,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[grpc.aio.Channel]:
    settings = TextSettings(port=0, bundle_repository=tmp_path_factory.mktemp("bundles"), drain_seconds=0)
    async with running(build(settings), settings) as server:
        yield server.channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return TextServiceStub(channel)


async def understand(stub: Any, *texts: str, **options: Any) -> list[pb.TextUnderstanding]:
    return list((await stub.UnderstandText(pb.UnderstandTextRequest(texts=texts, **options))).results)


@pytest.mark.parametrize("model", MODELS)
async def test_good_is_told_from_bad(stub: Any, model: str) -> None:
    good, bad = await understand(
        stub, "a wonderful, moving and beautiful film", "a dull, lifeless and boring mess", model=model
    )
    assert good.sentiment.score > 0.2
    assert good.sentiment.positive_probability > 0.7
    assert bad.sentiment.score < -0.2
    assert bad.sentiment.positive_probability < 0.3


async def test_emotions_come_most_probable_first_and_those_present_are_marked(stub: Any) -> None:
    (thanks,) = await understand(stub, "thank you so much, this saved my day", tasks=[EMOTION])
    assert len(thanks.emotions) == 28
    probabilities = [each.probability for each in thanks.emotions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert thanks.emotions[0].label == "gratitude"
    assert thanks.emotions[0].present
    assert not thanks.emotions[-1].present


async def test_toxicity_names_its_words_in_the_order_of_the_text(stub: Any) -> None:
    text = "well 🎬 you are a stupid, ugly idiot"
    rude, fine = await understand(stub, text, "what a lovely evening", tasks=[TOXICITY])
    toxic = next(each for each in rude.toxicity if each.category == "toxic")
    assert toxic.present
    assert "idiot" in " ".join(text[span.start : span.end] for span in toxic.spans)
    starts = [span.start for span in toxic.spans]
    assert starts == sorted(starts)
    assert not any(each.present or each.spans for each in fine.toxicity)


@pytest.mark.parametrize("emoji", ["👍", "❤️", "😂😂😂", "🔥 🔥", "gg 👏"])
async def test_emoji_do_not_harm(stub: Any, emoji: str) -> None:
    (found,) = await understand(stub, emoji, tasks=[TOXICITY])
    assert not any(each.present for each in found.toxicity)
    rude, plain = await understand(stub, f"you stupid idiot {emoji}", "you stupid idiot", tasks=[TOXICITY])
    assert rude.toxicity[0].present
    assert plain.toxicity[0].present


async def test_whatever_is_present_names_a_span(stub: Any) -> None:
    texts = ["i will kill you", "shut up", "you people are all the same, disgusting", "go to hell", "what an ass"]
    for result in await understand(stub, *texts, tasks=[TOXICITY]):
        assert all(each.spans for each in result.toxicity if each.present)


async def test_only_the_tasks_that_were_asked_are_answered(stub: Any) -> None:
    (only,) = await understand(stub, "what a film", tasks=[EMOTION])
    assert only.emotions
    assert not only.HasField("sentiment")
    assert not only.toxicity
    (all_of_it,) = await understand(stub, "what a film")
    assert all_of_it.HasField("sentiment")
    assert all_of_it.emotions
    assert all_of_it.toxicity


@pytest.mark.parametrize("model", SMALL_MODELS)
async def test_a_task_that_a_model_does_not_do_is_named(stub: Any, model: str) -> None:
    request = pb.UnderstandTextRequest(texts=["x"], model=model, tasks=[SENTIMENT, TOXICITY])
    outcome = await outcome_of(stub.UnderstandText(request))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "TOXICITY" in outcome.violations["tasks[1]"]


@pytest.mark.parametrize("model", MODELS)
async def test_the_end_that_was_not_read_is_said(stub: Any, model: str) -> None:
    request = pb.UnderstandTextRequest(texts=["short", "slow and long " * 500], model=model)
    reply = await stub.UnderstandText(request)
    assert [result.truncated for result in reply.results] == [False, True]
    assert reply.truncated_count == 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("odd", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_odd_texts_are_answered_and_change_no_neighbour(stub: Any, model: str, odd: str) -> None:
    plain = "a wonderful film"
    strange, beside = await understand(stub, odd, plain, model=model)
    (alone,) = await understand(stub, plain, model=model)
    assert -1 <= strange.sentiment.score <= 1
    assert beside.sentiment.score == pytest.approx(alone.sentiment.score, abs=0.01)


@pytest.mark.parametrize(
    ("fields", "field", "limit"),
    [
        ({"texts": []}, "texts", "at least 1"),
        ({"texts": [""]}, "texts[0]", "empty"),
        ({"texts": ["x", " \t"]}, "texts[1]", "white space"),
        ({"texts": ["x" * 1_000_000]}, "texts[0]", "10,000"),
        ({"texts": ["x"] * 257}, "texts", "256"),
        ({"texts": ["x"], "tasks": [99]}, "tasks[0]", "99"),
    ],
)
async def test_bad_input_names_the_field_and_the_limit(
    stub: Any, fields: dict[str, Any], field: str, limit: str
) -> None:
    outcome = await outcome_of(stub.UnderstandText(pb.UnderstandTextRequest(**fields)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations[field]


@pytest.mark.parametrize(
    ("method", "request_type"), [("UnderstandText", pb.UnderstandTextRequest), ("ClassifyText", pb.ClassifyTextRequest)]
)
async def test_lone_surrogates_are_refused_with_the_field(
    channel: grpc.aio.Channel, method: str, request_type: Any
) -> None:
    sent = request_type(texts=["fine", "@@@"]).SerializeToString().replace(b"@@@", b"\xed\xa0\x80")
    outcome = await outcome_of(channel.unary_unary(f"/marquee.text.v1.TextService/{method}")(sent))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "texts[1]" in outcome.violations


@pytest.mark.parametrize("odd", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_odd_texts_are_labelled(stub: Any, odd: str) -> None:
    request = pb.ClassifyTextRequest(texts=[odd], labels=["film", "food", "\u200b"])
    (result,) = (await stub.ClassifyText(request)).results
    assert len(result.labels) == 3


@pytest.mark.parametrize(
    ("labels", "limit"), [([], "at least 2"), (["one"], "at least 2"), ([str(n) for n in range(10_000)], "100")]
)
async def test_too_few_and_too_many_labels_are_refused(stub: Any, labels: list[str], limit: str) -> None:
    outcome = await outcome_of(stub.ClassifyText(pb.ClassifyTextRequest(texts=["x"], labels=labels)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations["labels"]
