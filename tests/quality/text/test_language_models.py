"""The committed language models keep what their cards promise, without torch; `make quality-text` measures all."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.runtime.sources import SourceUnavailable
from services.text.training.corpus import FILMS
from services.text.training.language_model.facts import OTHER, PLACES, facts_prompt
from services.text.training.language_model.measuring import (
    OPENINGS,
    distinct_pairs,
    encode_all,
    repetition,
    sample,
)
from services.text.training.language_model.served import ServedModel, begin, target_bits
from services.text.training.language_model.texts import Text, clean
from services.text.training.understanding.samples import film_texts
from tests.quality.text.language_models import DECODER, MODELS, RECURRENT, open_model
from tests.support.repositories import load_on_cpu

pytestmark = pytest.mark.quality

NAMES = (DECODER, RECURRENT)
FEW = 300
PROMPT = "A gorgeous, witty film about"


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def opened(name: str) -> tuple[ServedModel, Tokenizer]:
    return open_model(name)


@pytest.fixture(scope="module")
def films() -> list[Text]:
    try:
        return [Text(clean(each.text), FILMS, "test") for each in film_texts("test")[:FEW]]
    except SourceUnavailable as error:
        pytest.skip(str(error))


def bits_a_character(model: ServedModel, tokenizer: Tokenizer, texts: list[Text]) -> float:
    encoded = encode_all(texts, tokenizer)
    bits = sum(target_bits(logits, text).sum() for logits, text in zip(model.logits(encoded), encoded, strict=True))
    return float(bits / sum(text.characters for text in encoded))


def test_golden_outputs_are_reproduced(name: str) -> None:
    loaded = load_on_cpu(MODELS / name / "1")
    assert loaded.parity.cases == 2
    assert loaded.manifest.task == "text-generation"
    assert (MODELS / name / "1" / "model.onnx").stat().st_size <= 15_000_000


def test_bits_a_character_of_film_snippets(films: list[Text]) -> None:
    """The n-gram model needs all texts to be fitted on: `make quality-text` compares with it."""
    figures = {name: bits_a_character(*open_model(name), films) for name in NAMES}
    print(figures)
    assert figures[DECODER] < figures[RECURRENT]
    assert figures[DECODER] < 1.92
    assert figures[RECURRENT] < 1.97


def test_samples_vary_and_do_not_run_in_circles(opened: tuple[ServedModel, Tokenizer]) -> None:
    model, tokenizer = opened
    samples = [
        sample(model.generator(), tokenizer, opening, seed=seed, temperature=0.8)
        for opening in OPENINGS
        for seed in (0, 1)
    ]
    assert distinct_pairs(samples) > 0.5
    assert repetition(samples) < 0.1


def test_step_by_step_is_a_whole_text_at_once(opened: tuple[ServedModel, Tokenizer]) -> None:
    model, tokenizer = opened
    ids = np.array([begin(tokenizer.encode(PROMPT).ids)])
    whole, _ = model.run(ids, model.start(1))
    states, rows = model.start(1), []
    for token in ids[0]:
        logits, states = model.run(np.array([[token]]), states)
        rows.append(logits[0, 0])
    np.testing.assert_allclose(np.stack(rows), whole[0], atol=1e-3)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(opened: tuple[ServedModel, Tokenizer]) -> None:
    model, tokenizer = opened
    ids = tokenizer.encode(PROMPT).ids
    others = np.random.default_rng(0).integers(0, tokenizer.get_vocab_size(), (3, len(ids)))
    batch: NDArray[np.int64] = np.concatenate([[ids], others]).astype(np.int64)
    together, _ = model.run(batch, model.start(4))
    alone, _ = model.run(batch[:1], model.start(1))
    np.testing.assert_allclose(together[0], alone[0], atol=1e-3)


def test_any_text_can_be_read(opened: tuple[ServedModel, Tokenizer]) -> None:
    model, tokenizer = opened
    for text in ("中文", "\x00\u202e\u200b", "🎬🎮", "ñandú"):
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids) == text
        logits, _ = model.run(np.array([ids]), model.start(1))
        assert np.isfinite(logits).all()


def test_the_context_fits_what_the_description_says(name: str, opened: tuple[ServedModel, Tokenizer]) -> None:
    generation = json.loads((MODELS / name / "1" / "generation.json").read_text(encoding="utf-8"))
    model, _ = opened
    length = min(1000, generation["context_tokens"])
    logits, _ = model.run(np.full((1, length), 300), model.start(1))
    assert np.isfinite(logits).all()


def test_the_decoder_says_facts_and_ends() -> None:
    model, tokenizer = open_model(DECODER)
    facts = {name: PLACES[name] for name in ("title", "kind", "year", "genres")} | {"reason": f"you liked {OTHER}"}
    sentence = sample(model.generator(), tokenizer, facts_prompt(facts), seed=0, temperature=0)
    assert set(re.findall(r"[A-Z]{4,}", sentence)) == {"TITLE", "KIND", "YEAR", "GENRES", "OTHER"}
    assert sentence.endswith(".")
