"""The committed toxicity SVM through the classical service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from marquee.classical.v1 import classical_service_pb2 as pb
from marquee.classical.v1.classical_service_pb2_grpc import ClassicalServiceStub
from services.classical.main import build
from services.classical.settings import ClassicalSettings
from tests.support.clients import outcome_of
from tests.support.servers import running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[grpc.aio.Channel]:
    models = tmp_path_factory.mktemp("models")
    committed = Path(ClassicalSettings.model_fields["model_repository"].default)
    (models / "toxicity-svm").symlink_to(committed / "toxicity-svm")
    folder = tmp_path_factory.mktemp("bundles")
    settings = ClassicalSettings(port=0, model_repository=models, bundle_repository=folder, drain_seconds=0)
    async with running(build(settings), settings) as server:
        yield server.channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return ClassicalServiceStub(channel)


async def score(stub: Any, *texts: str) -> list[pb.TextToxicity]:
    return list((await stub.ScoreToxicity(pb.ScoreToxicityRequest(texts=texts))).results)


async def test_offence_is_probable_and_the_words_that_cause_it_come_first(stub: Any) -> None:
    text = "shut up, you stupid idiot"
    rude, fine = await score(stub, text, "what a lovely evening we had")
    assert rude.probability > 0.9
    assert fine.probability < 0.1
    strongest = rude.words[0]
    assert text[strongest.start : strongest.end] in ("stupid", "idiot")
    assert [word.contribution for word in rude.words] == sorted(
        (word.contribution for word in rude.words), reverse=True
    )
    assert all(word.contribution > 0 for word in (*rude.words, *fine.words))


async def test_a_repeated_word_is_named_once_where_it_stands_first(stub: Any) -> None:
    text = "Idiot! what an IDIOT"
    (found,) = await score(stub, text)
    places = [(word.start, word.end) for word in found.words]
    assert places.count((0, 5)) == 1
    assert len(places) == len(set(places))


async def test_at_most_ten_words_are_named(stub: Any) -> None:
    (found,) = await score(
        stub, "stupid idiot moron dumb loser ugly fat trash garbage pathetic liar jerk fool hate shut"
    )
    assert len(found.words) == 10


@pytest.mark.parametrize(
    "odd",
    ["\u200b", "!!!", "1", "日本語のテキスト", "\u202eabc", "x" * 10_000, "\x00\x07", "🎬", "idiot " * 1_600],
    ids=["no width", "signs", "digit", "Japanese", "right to left", "one word", "control", "emoji", "repeated"],
)
async def test_odd_texts_are_scored_and_change_no_neighbour(stub: Any, odd: str) -> None:
    strange, rude = await score(stub, odd, "you stupid idiot")
    assert 0 <= strange.probability <= 1
    assert rude.probability == (await score(stub, "you stupid idiot"))[0].probability


async def test_the_largest_request_is_answered(stub: Any) -> None:
    texts = [f"{number} words and words " * 500 for number in range(256)]
    assert len(await score(stub, *(text[:10_000] for text in texts))) == 256


@pytest.mark.parametrize(
    ("texts", "field", "limit"),
    [
        ([], "texts", "at least 1"),
        (["x", ""], "texts[1]", "empty"),
        (["\n"], "texts[0]", "white space"),
        (["x" * 1_000_000], "texts[0]", "10,000"),
        (["x"] * 257, "texts", "256"),
    ],
)
async def test_bad_input_names_the_field_and_the_limit(stub: Any, texts: list[str], field: str, limit: str) -> None:
    outcome = await outcome_of(stub.ScoreToxicity(pb.ScoreToxicityRequest(texts=texts)))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in outcome.violations[field]


async def test_lone_surrogates_are_refused_with_the_field(channel: grpc.aio.Channel) -> None:
    sent = pb.ScoreToxicityRequest(texts=["fine", "@@@"]).SerializeToString().replace(b"@@@", b"\xed\xa0\x80")
    method: Any = channel.unary_unary("/marquee.classical.v1.ClassicalService/ScoreToxicity")
    outcome = await outcome_of(method(sent))
    assert outcome.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "texts[1]" in outcome.violations


async def test_an_unknown_model_is_not_found(stub: Any) -> None:
    outcome = await outcome_of(stub.ScoreToxicity(pb.ScoreToxicityRequest(texts=["x"], model="no-such")))
    assert outcome.code is grpc.StatusCode.NOT_FOUND
