"""A model with labels of its own, through the real service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from marquee.text.v1 import text_service_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.classification_model import LABELS, write_classification_model
from tests.support.clients import outcome_of
from tests.support.dummy_model import NAME, write_model
from tests.support.servers import running

Stub: TypeAlias = "text_service_pb2_grpc.TextServiceAsyncStub"
OWN = "dummy-labels"


@pytest.fixture
async def stub(models: Path, tmp_path: Path) -> AsyncIterator[Stub]:
    write_model(models)
    write_classification_model(models, OWN)
    settings = TextSettings(
        port=0,
        model_repository=models,
        bundle_repository=tmp_path,
        default_model=NAME,
    )
    async with running(build(settings), settings) as server:
        yield text_service_pb2_grpc.TextServiceStub(server.channel)


def classify(texts: list[str], model: str = OWN, **more: Any) -> pb.ClassifyTextRequest:
    return pb.ClassifyTextRequest(texts=texts, model=model, **more)


async def test_a_model_answers_its_own_labels_with_probabilities_best_first(stub: Stub) -> None:
    reply = await stub.ClassifyText(classify(["space war", "love", "space"]))
    assert [len(result.labels) for result in reply.results] == [len(LABELS)] * 3
    for result in reply.results:
        scores = [label.score for label in result.labels]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert {label.label for label in result.labels} == set(LABELS)
    assert (reply.report.model, reply.report.version) == (OWN, "1")


async def test_only_as_many_labels_as_asked_for(stub: Stub) -> None:
    whole = await stub.ClassifyText(classify(["robot love"]))
    best = await stub.ClassifyText(classify(["robot love"], top_count=1))
    assert list(best.results[0].labels) == list(whole.results[0].labels)[:1]
    many = await stub.ClassifyText(classify(["robot love"], top_count=2**31 - 1))
    assert many.results == whole.results


async def test_an_answer_does_not_depend_on_the_other_texts(stub: Stub) -> None:
    texts = ["war", "alien cowboy heist", "love " * 12, "\u200b"]
    together = await stub.ClassifyText(classify(texts))
    for text, result in zip(texts, together.results, strict=True):
        (alone,) = (await stub.ClassifyText(classify([text]))).results
        assert [one.label for one in alone.labels] == [one.label for one in result.labels]
        assert [one.score for one in alone.labels] == pytest.approx([one.score for one in result.labels], abs=1e-6)


async def test_labels_for_a_model_that_has_its_own_are_refused(stub: Stub) -> None:
    answered = await outcome_of(stub.ClassifyText(classify(["love"], labels=["a", "b"])))
    assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(answered.violations) == ["labels"]
    assert "has labels of its own" in answered.message


@pytest.mark.parametrize("model", ["", NAME])
async def test_no_labels_for_a_model_of_vectors_are_refused(stub: Stub, model: str) -> None:
    answered = await outcome_of(stub.ClassifyText(classify(["love"], model)))
    assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(answered.violations) == ["labels"]


async def test_a_model_with_labels_has_no_vectors(stub: Stub) -> None:
    answered = await outcome_of(stub.EmbedText(pb.EmbedTextRequest(texts=["love"], model=OWN)))
    assert answered.code is grpc.StatusCode.NOT_FOUND
    assert "it does text-classification" in answered.message
