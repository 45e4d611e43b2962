"""GenerateText of the running service, with a random Transformer and a random recurrent network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from marquee.text.v1 import generation_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.language_models import KINDS, write_decoder, write_recurrent
from tests.support.servers import running

Stub: TypeAlias = "text_service_pb2_grpc.TextServiceAsyncStub"
PROMPTS = ["A retired", "Space", "Два робота", "x " * 60, "é", "word " * 25, "dragon", "一二三"]
each_kind = pytest.mark.parametrize("model", KINDS)


@pytest.fixture
async def stub(models: Path, tmp_path: Path) -> AsyncIterator[Stub]:
    write_decoder(models)
    write_recurrent(models)
    settings = TextSettings(port=0, model_repository=models, bundle_repository=tmp_path, default_model=KINDS[0])
    async with running(build(settings), settings) as server:
        yield text_service_pb2_grpc.TextServiceStub(server.channel)


def ask(prompt: str, model: str = "", **options: Any) -> pb.GenerateTextRequest:
    return pb.GenerateTextRequest(prompt=prompt, model=model, options=pb.GenerationOptions(**options))


async def read(stub: Stub, request: pb.GenerateTextRequest) -> Sequence[pb.GenerateTextResponse]:
    return [reply async for reply in stub.GenerateText(request, timeout=60)]


def text_of(replies: Sequence[pb.GenerateTextResponse]) -> str:
    return "".join(reply.text for reply in replies)


def log_probabilities(replies: Sequence[pb.GenerateTextResponse]) -> list[float]:
    return [token.log_probability for reply in replies for token in reply.tokens]


@each_kind
async def test_a_text_comes_in_pieces_and_the_last_one_says_how_it_ended(stub: Stub, model: str) -> None:
    replies = await read(stub, ask("A retired", model, max_tokens=40, seed=3))
    *before, last = replies
    assert len(text_of(replies)) > 10
    assert all(reply.finish_reason == pb.FINISH_REASON_UNSPECIFIED for reply in before)
    assert last.finish_reason == pb.FINISH_REASON_MAX_TOKENS
    assert (last.usage.prompt_tokens, last.usage.generated_tokens) == (10, 40)
    assert not last.usage.prompt_truncated
    assert last.usage.first_token_microseconds > 0
    assert (last.report.model, last.report.version) == (model, "1")
    assert last.report.compute_microseconds > 0
    assert replies[0].seed == 3


@each_kind
async def test_the_same_seed_gives_the_same_text_alone_and_with_neighbours(stub: Stub, model: str) -> None:
    requests = [
        ask(prompt, model, max_tokens=30 + 10 * number, seed=number, log_probabilities=True)
        for number, prompt in enumerate(PROMPTS)
    ]
    alone = [await read(stub, request) for request in requests]
    for _ in range(2):
        together = await asyncio.gather(*(read(stub, request) for request in reversed(requests)))
        assert [text_of(one) for one in reversed(together)] == [text_of(one) for one in alone]
        for one, other in zip(reversed(together), alone, strict=True):
            assert [t.log_probability for r in one for t in r.tokens] == [
                t.log_probability for r in other for t in r.tokens
            ]
