"""GenerateText of the running service, with a random Transformer and a random recurrent network."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from marquee.text.v1 import generation_pb2 as pb
from marquee.text.v1 import text_service_pb2_grpc
from services.text.main import build
from services.text.settings import TextSettings
from tests.support.clients import Outcome, failure
from tests.support.language_models import CONTEXT, KINDS, NEVER, RECURRENT, write_decoder, write_recurrent
from tests.support.servers import running

Stub: TypeAlias = "text_service_pb2_grpc.TextServiceAsyncStub"
PROMPTS = ["A retired", "Space", "Два робота", "x " * 60, "é", "word " * 25, "dragon", "一二三"]
each_kind = pytest.mark.parametrize("model", KINDS)


@pytest.fixture
async def stub(models: Path, tmp_path: Path) -> AsyncIterator[Stub]:
    write_decoder(models, end=NEVER)
    write_recurrent(models, end=NEVER)
    write_decoder(models, "short-texts", end=4)
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


@each_kind
async def test_a_stop_text_ends_the_text_before_it_wherever_the_tokens_border(stub: Stub, model: str) -> None:
    whole = text_of(await read(stub, ask("A retired", model, max_tokens=60, seed=3)))
    stop = whole[20:24]
    assert whole.index(stop) >= 1
    replies = await read(stub, ask("A retired", model, max_tokens=60, seed=3, stop=["never met", stop]))
    assert text_of(replies) == whole[: whole.index(stop)]
    assert replies[-1].finish_reason == pb.FINISH_REASON_STOP_TEXT
    assert replies[-1].usage.generated_tokens < 60


async def test_a_stop_text_that_is_never_met_changes_nothing(stub: Stub) -> None:
    request = ask("A retired", max_tokens=60, seed=3)
    whole = text_of(await read(stub, request))
    request.options.stop.extend([f"{whole[-3:]} never", "x" * 100, "\n\u200f"])
    assert text_of(await read(stub, request)) == whole


@each_kind
async def test_without_a_seed_texts_differ_and_the_seed_that_was_used_repeats_one(stub: Stub, model: str) -> None:
    first, second = [await read(stub, ask("A retired", model)) for _ in range(2)]
    assert text_of(first) != text_of(second)
    assert first[0].seed
    assert text_of(await read(stub, ask("A retired", model, seed=first[0].seed))) == text_of(first)
    assert not first[-1].seed, "told once"


async def test_tokens_and_alternatives_are_told_where_asked_for(stub: Stub) -> None:
    replies = await read(stub, ask("A retired", max_tokens=12, temperature=0, alternatives=3))
    tokens = [token for reply in replies for token in reply.tokens]
    assert len(tokens) == 12
    for token in tokens:
        best = token.alternatives
        assert len(best) == 3
        assert token.text == best[0].text
        assert token.log_probability == best[0].log_probability
        assert 0 >= best[0].log_probability >= best[1].log_probability >= best[2].log_probability
    plain = await read(stub, ask("A retired", max_tokens=12, temperature=0))
    assert not any(reply.tokens for reply in plain)
    assert text_of(plain) == text_of(replies)


async def test_of_a_long_prompt_the_end_is_read(stub: Stub) -> None:
    long = await read(stub, ask("y" * 5_000 + "the end", temperature=0, max_tokens=30))
    room = CONTEXT - 30
    assert long[-1].usage.prompt_truncated
    assert long[-1].usage.prompt_tokens == room
    assert long[-1].finish_reason == pb.FINISH_REASON_MAX_TOKENS
    short = await read(stub, ask("y" * (room - 8) + "the end", temperature=0, max_tokens=30))
    assert not short[-1].usage.prompt_truncated
    assert text_of(short) == text_of(long)


async def test_a_recurrent_network_reads_and_writes_beyond_any_context(stub: Stub) -> None:
    replies = await read(stub, ask("y" * 5_000, RECURRENT, max_tokens=400))
    assert not replies[-1].usage.prompt_truncated
    assert (replies[-1].usage.prompt_tokens, replies[-1].usage.generated_tokens) == (5_001, 400)


async def test_a_text_ends_where_the_context_is_full(stub: Stub) -> None:
    replies = await read(stub, ask("y" * 100, max_tokens=2_048))
    assert replies[-1].finish_reason == pb.FINISH_REASON_CONTEXT_FULL
    assert replies[-1].usage.prompt_tokens + replies[-1].usage.generated_tokens == CONTEXT


async def test_the_models_own_end_ends_a_text_and_is_no_part_of_it(stub: Stub) -> None:
    request = ask("A retired", "short-texts", max_tokens=200, seed=1, log_probabilities=True)
    replies = await read(stub, request)
    assert replies[-1].finish_reason == pb.FINISH_REASON_END_OF_TEXT
    tokens = [token.text for reply in replies for token in reply.tokens]
    assert replies[-1].usage.generated_tokens == len(tokens) < 200
    assert "<end>" not in tokens
    assert "<end>" not in text_of(replies)


async def test_counts_above_their_limit_are_coerced(stub: Stub) -> None:
    huge = {"max_tokens": 2**31 - 1, "top_k": 2**31 - 1, "alternatives": 2**31 - 1}
    replies = await read(stub, ask("dragon", RECURRENT, **huge, seed=2**64 - 1))
    assert replies[-1].usage.generated_tokens == 2_048
    assert len(replies[0].tokens[0].alternatives) == 20


@pytest.mark.parametrize(
    "prompt",
    ["\u200b", "\u202eevil\u202c", "\x00\x01\x7f", "\ufeff", "مرحبا", "e\u0301" * 50, "🫠", "\t x"],
    ids=ascii,
)
async def test_odd_prompts_are_read_as_they_are(stub: Stub, prompt: str) -> None:
    replies = await read(stub, ask(prompt, max_tokens=3))
    assert replies[-1].usage.prompt_tokens == 1 + len(prompt.encode())


BAD_OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("options.max_tokens", {"max_tokens": -1}, "2,048"),
    ("options.top_k", {"top_k": -(2**31)}, "1,000"),
    ("options.alternatives", {"alternatives": -1}, "20"),
    ("options.temperature", {"temperature": -0.1}, "0 to 2"),
    ("options.temperature", {"temperature": math.nan}, "0 to 2"),
    ("options.temperature", {"temperature": math.inf}, "0 to 2"),
    ("options.top_p", {"top_p": 0.0}, "above 0"),
    ("options.top_p", {"top_p": math.nan}, "0 to 1"),
    ("options.top_p", {"top_p": 1.1}, "0 to 1"),
    ("options.repetition_penalty", {"repetition_penalty": 0.9}, "1 to 2"),
    ("options.repetition_penalty", {"repetition_penalty": math.nan}, "1 to 2"),
    ("options.stop", {"stop": ["x"] * 9}, "8"),
    ("options.stop[1]", {"stop": ["x", ""]}, "empty"),
    ("options.stop[0]", {"stop": ["x" * 101]}, "100"),
]


async def test_bad_options_are_refused_by_name_and_limit(stub: Stub) -> None:
    for field, options, limit in BAD_OPTIONS:
        answered = await refused(stub, ask("A", **options))
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT, field
        assert limit in answered.violations[field], field
    together = await refused(stub, ask("", max_tokens=-1, temperature=3, stop=[""]))
    assert set(together.violations) == {"prompt", "options.max_tokens", "options.temperature", "options.stop[0]"}


async def test_bad_prompts_are_refused_by_name_and_limit(stub: Stub) -> None:
    for prompt, limit in (("", "empty"), (" \n\u3000", "white space"), ("x" * 1_000_000, "100,000")):
        answered = await refused(stub, ask(prompt))
        assert answered.code is grpc.StatusCode.INVALID_ARGUMENT
        assert limit in answered.violations["prompt"]


async def test_a_model_of_another_name_or_kind_is_not_found(stub: Stub) -> None:
    assert (await refused(stub, ask("A", "gpt"))).code is grpc.StatusCode.NOT_FOUND


async def refused(stub: Stub, request: pb.GenerateTextRequest) -> Outcome:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await read(stub, request)
    return failure(error.value)
