from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from tokenizers import Tokenizer

from services.runtime.pipeline import Place, Prepared
from services.text.pipelines.text_vectors import TextVectorPipeline, TextVectors
from services.text.pipelines.token_batches import TokenBatch
from tests.support.dummy_model import DIMENSIONS, MAX_TOKENS, replace_file, write_model
from tests.support.repositories import load_on_cpu

TEXTS = ["space war", "love", "a b c d e", "dragon", "ghost heist", "alien robot love"]


def pipeline(models: Path, **manifest: Any) -> TextVectorPipeline:
    return TextVectorPipeline(load_on_cpu(write_model(models, **manifest)))


def answer(made: TextVectorPipeline, texts: list[str]) -> TextVectors:
    prepared = made.prepare(texts)
    return made.finish(prepared, [made.run(batch) for batch in prepared.batches])


def lengths(prepared: Prepared[TokenBatch]) -> list[list[int]]:
    """Return the token counts of each batch's texts."""
    return [batch.attention_mask.sum(axis=1).tolist() for batch in prepared.batches]


def test_batches_hold_neighbours_in_length_up_to_the_limit(models: Path) -> None:
    prepared = pipeline(models, batching={"max_batch": 4}).prepare(TEXTS)
    assert lengths(prepared) == [[1, 1, 2, 2], [3, 5]]
    assert [size.rows for size in prepared.sizes] == [4, 2]
    assert [size.cost for size in prepared.sizes] == [4 * 2, 2 * 5], "padding is work too"


def test_texts_of_several_requests_share_a_run_and_keep_their_answers(models: Path) -> None:
    made = pipeline(models, batching={"max_batch": 8})
    asked = [["space war"], ["love", "a b c d e"], ["alien robot love"]]
    prepared = [made.prepare(texts) for texts in asked]
    batches = [batch for one in prepared for batch in one.batches]
    outputs = made.split(made.run(made.join(batches)), batches)
    assert len({size.bucket for one in prepared for size in one.sizes}) == 1
    for one, output, texts in zip(prepared, outputs, asked, strict=True):
        assert numpy.allclose(made.finish(one, [output]).vectors, answer(made, texts).vectors, atol=1e-6)


def test_texts_of_very_different_lengths_share_no_run(models: Path) -> None:
    made = pipeline(models, batching={"max_batch": 8})
    prepared = made.prepare(["love", "love " * MAX_TOKENS])
    assert len(prepared.batches) == 2
    assert len({size.bucket for size in prepared.sizes}) == 2


def test_a_model_that_bears_no_padding_gets_equal_lengths_only(models: Path) -> None:
    prepared = pipeline(models, batching={"max_batch": 4, "exact_length": True}).prepare(TEXTS)
    assert lengths(prepared) == [[1, 1], [2, 2], [3], [5]]
    assert all(batch.attention_mask.all() for batch in prepared.batches)


def test_one_text_a_run_where_the_model_demands_it(models: Path) -> None:
    assert [len(one) for one in lengths(pipeline(models, batching={"max_batch": 1}).prepare(TEXTS))] == [1] * 6


@pytest.mark.parametrize(
    "batching", [{"max_batch": 1}, {"max_batch": 4}, {"max_batch": 64}, {"max_batch": 4, "exact_length": True}]
)
def test_vectors_come_in_the_order_of_the_texts_whatever_the_batches(models: Path, batching: dict[str, Any]) -> None:
    made = pipeline(models, batching=batching)
    together = answer(made, TEXTS).vectors
    alone = [answer(made, [text]).vectors[0] for text in TEXTS]
    assert together.shape == (6, DIMENSIONS)
    assert numpy.allclose(together, alone, atol=1e-6)


def test_tokens_are_counted_and_cut_at_the_models_limit(models: Path) -> None:
    found = answer(pipeline(models), ["love " * (MAX_TOKENS + 5), "space war", "love " * MAX_TOKENS])
    assert found.token_count == MAX_TOKENS + 2 + MAX_TOKENS
    assert found.cut == (True, False, False)


def test_padding_that_a_published_tokeniser_asks_for_is_left_out(models: Path) -> None:
    folder = write_model(models)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=MAX_TOKENS)
    replace_file(folder, "tokenizer.json", tokenizer.to_str().encode())
    padded = TextVectorPipeline(load_on_cpu(folder))
    assert lengths(padded.prepare(["space war", "love"])) == [[1, 2]]
    assert answer(padded, ["space war"]).token_count == 2


def test_a_text_without_a_token_gets_a_finite_vector(models: Path) -> None:
    found = answer(pipeline(models), ["\u200b", "love"])
    assert numpy.isfinite(found.vectors).all()


def test_long_requests_are_tokenised_off_the_event_loop(models: Path) -> None:
    made = pipeline(models)
    assert made.place_of_prepare(["love"] * 10) is Place.INLINE
    assert made.place_of_prepare(["x" * 10_000]) is Place.THREAD
    assert made.place_of_prepare(["x" * 100] * 256) is Place.THREAD


def test_the_cost_of_a_request_is_its_tokens(models: Path) -> None:
    assert pipeline(models).prepare(["space war", "love"]).cost == 3


def test_warming_up_runs_the_whole_way(models: Path) -> None:
    pipeline(models).warmup()
