from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import grpc
import numpy
import numpy.typing
import pytest

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.clients import outcome_of
from tests.support.dummy_model import DIMENSIONS, MAX_TOKENS, NAME, write_model
from tests.support.servers import running

Stub: TypeAlias = "text_service_pb2_grpc.TextServiceAsyncStub"


@pytest.fixture
async def stub(models: Path, tmp_path: Path) -> AsyncIterator[Stub]:
    write_model(models)
    write_model(models, "second-vectors", seed=8)
    settings = TextSettings(port=0, model_repository=models, bundle_repository=tmp_path, default_model=NAME)
    async with running(build(settings), settings) as server:
        yield text_service_pb2_grpc.TextServiceStub(server.channel)


def vectors(reply: pb.EmbedTextResponse) -> list[numpy.typing.NDArray[numpy.float32]]:
    return [numpy.frombuffer(vector.values, "<f4") for vector in reply.vectors]


async def test_vectors_are_little_endian_of_length_one_and_alike_for_like_texts(stub: Stub) -> None:
    reply = await stub.EmbedText(pb.EmbedTextRequest(texts=["space war", "war space", "love"]))
    one, same, other = vectors(reply)
    assert reply.dimensions == DIMENSIONS
    assert [len(vector.values) for vector in reply.vectors] == [4 * DIMENSIONS] * 3
    assert numpy.linalg.norm(one) == pytest.approx(1, abs=1e-6)
    assert one @ same == pytest.approx(1, abs=1e-6)
    assert one @ other < 0.99


async def test_what_was_read_and_cut_is_counted(stub: Stub) -> None:
    reply = await stub.EmbedText(pb.EmbedTextRequest(texts=["space war", "love " * 100]))
    assert (reply.token_count, reply.truncated_count) == (2 + MAX_TOKENS, 1)


async def test_a_text_whose_end_was_not_labelled_is_said_to_be_cut(stub: Stub) -> None:
    reply = await stub.ClassifyText(pb.ClassifyTextRequest(texts=["space war", "love " * 100], labels=["love", "war"]))
    assert [result.truncated for result in reply.results] == [False, True]


async def test_the_model_is_the_callers_choice(stub: Stub) -> None:
    default = await stub.EmbedText(pb.EmbedTextRequest(texts=["love"]))
    named = await stub.EmbedText(pb.EmbedTextRequest(texts=["love"], model=NAME))
    second = await stub.EmbedText(pb.EmbedTextRequest(texts=["love"], model="second-vectors"))
    assert default.report.model == named.report.model == NAME
    assert default.vectors == named.vectors
    assert second.report.model == "second-vectors"
    assert second.vectors != default.vectors


async def test_the_largest_allowed_request_is_answered(stub: Stub) -> None:
    reply = await stub.EmbedText(pb.EmbedTextRequest(texts=["love " * 2_000] * 256), timeout=60)
    assert len(reply.vectors) == 256
    assert reply.truncated_count == 256


async def test_texts_are_scored_against_the_callers_labels(stub: Stub) -> None:
    request = pb.ClassifyTextRequest(texts=["space", "love"], labels=["love", "space", "dragon"], top_count=2)
    reply = await stub.ClassifyText(request)
    first, second = reply.results
    assert (first.labels[0].label, second.labels[0].label) == ("space", "love")
    assert first.labels[0].score == pytest.approx(1, abs=1e-6)
    assert [len(result.labels) for result in reply.results] == [2, 2]
    assert first.labels[0].score >= first.labels[1].score
    assert (reply.report.model, reply.report.version) == (NAME, "1")
    assert reply.report.compute_microseconds > 0


async def test_mistakes_in_texts_and_labels_are_reported_together(stub: Stub) -> None:
    request = pb.ClassifyTextRequest(texts=["a", " "], labels=["b"], top_count=-1)
    answered = await outcome_of(stub.ClassifyText(request))
    assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(answered.violations) == {"texts[1]", "labels", "top_count"}


async def test_bad_input_is_refused_before_the_model_is_looked_for(stub: Stub) -> None:
    answered = await outcome_of(stub.EmbedText(pb.EmbedTextRequest(model="gpt")))
    assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
    answered = await outcome_of(stub.EmbedText(pb.EmbedTextRequest(texts=["a"], model="gpt")))
    assert answered.code is grpc.StatusCode.NOT_FOUND
    assert "this service has dummy-vectors, second-vectors" in answered.message
