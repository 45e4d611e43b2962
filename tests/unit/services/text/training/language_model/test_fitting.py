from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import nn

from services.text.training.language_model.fitting import (
    BATCH_TOKENS,
    FittingOptions,
    batch_loss,
    batches,
    fit,
    rate_share,
)
from services.text.training.language_model.muon import orthogonal
from services.text.training.language_model.networks import Decoder, DecoderShape, Recurrent, RecurrentShape
from services.text.training.language_model.texts import FACTS, Text
from services.text.training.language_model.tokens import Encoded, fit_tokenizer

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TEXTS = [Text(" ".join(WORDS[start : start + 5]), "tweets", "train") for start in range(6)] * 3
FACT = Text("facts: title = Heat\ntext: Heat is a film.", FACTS, "train")
TOKENIZER = fit_tokenizer([*TEXTS, FACT])
ENCODED = [Encoded(text, TOKENIZER) for text in (*TEXTS, FACT, FACT, FACT)]


def test_each_reading_has_all_prose_and_a_third_of_the_facts() -> None:
    (first,) = islice(batches(ENCODED, seed=0), 1)
    assert sum(each.source == FACTS for each in first) == 1
    assert sum(each.source != FACTS for each in first) == len(TEXTS)


def test_no_batch_is_larger_than_its_budget() -> None:
    many = ENCODED * 40
    for batch in islice(batches(many, seed=0), 30):
        assert max(len(each.ids) for each in batch) * len(batch) <= BATCH_TOKENS


def test_the_rate_rises_stays_and_falls() -> None:
    options = FittingOptions(steps=100, rate=1.0, warm_up=10, settle=20)
    shares = [rate_share(step, options) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[10:80] == [1.0] * 70
    assert shares[80:] == sorted(shares[80:], reverse=True)
    assert shares[-1] == pytest.approx(0.05)


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_an_update_is_nearly_orthogonal(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert 0.5 < values.min() <= values.max() < 1.3


@pytest.mark.parametrize(
    ("network", "matrix_rate"),
    [
        (Decoder(DecoderShape(width=16, layers=1, heads=2, hidden=32)), 0.02),
        (Recurrent(RecurrentShape(width=16, hidden=16)), 0.02),
        (Recurrent(RecurrentShape(width=16, hidden=16)), 0.0),
    ],
)
def test_a_network_learns_what_follows(network: nn.Module, matrix_rate: float) -> None:
    said: list[str] = []
    fit(network, ENCODED, FittingOptions(steps=300, rate=0.03, matrix_rate=matrix_rate, settle=200), said.append)
    assert said[-1].startswith("step 300 of 300")
    # Which of six words comes first cannot be known, what follows can.
    assert float(said[-1].split()[4]) < 1.5
    with torch.no_grad():
        assert batch_loss(network, ENCODED).item() < 1.0
