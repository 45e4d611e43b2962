"""The sentiment Transformer: trunks over one table, and the mean of members. Needs torch: `make test-training`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import services.text
from services.runtime.engine import CPU, OnnxModel
from services.text.training.sentence_encoder import EncoderShape
from services.text.training.sentiment.fitting import Target
from services.text.training.sentiment.transformer_fitting import MemberOptions, fit_member
from services.text.training.sentiment.transformer_network import (
    SentimentTransformer,
    averaged,
    trunk_weights,
)
from services.text.training.understanding.network import UnderstandingNetwork
from services.text.training.understanding.restoring import restored_weights

SMALL = EncoderShape(vocabulary=40, positions=16, layers=2, width=16, heads=2, inner_width=32)
GOOD, BAD, OTHERS = 7, 8, range(10, 40)
COMMITTED = Path(services.text.__file__).parent / "models" / "minilm-understanding" / "1" / "model.onnx"


def small(seed: int, trunks: int = 1) -> SentimentTransformer:
    torch.manual_seed(seed)
    return SentimentTransformer(torch.randn(SMALL.vocabulary, SMALL.width), SMALL, trunks)


def test_a_padded_text_answers_as_alone() -> None:
    network = small(0).eval()
    alone = network(torch.tensor([[1, 12, 2]]), torch.tensor([[1, 1, 1]]))
    padded = network(torch.tensor([[1, 12, 2, 0, 0], [1, 12, 13, 14, 2]]), torch.tensor([[1] * 3 + [0] * 2, [1] * 5]))
    torch.testing.assert_close(padded[:1], alone)


def test_several_trunks_answer_with_their_mean() -> None:
    both = small(0, trunks=2).eval()
    ids, mask = torch.tensor([[1, 12, 2]]), torch.tensor([[1, 1, 1]])
    embedded = both.token_table(ids)
    torch.testing.assert_close(both(ids, mask), (both.trunks[0](embedded, mask) + both.trunks[1](embedded, mask)) / 2)


def test_the_mean_of_a_network_with_itself_is_the_network() -> None:
    weights = trunk_weights(small(0).trunks[0].state_dict())
    for name, value in averaged([weights, weights]).items():
        torch.testing.assert_close(value, weights[name])


def test_a_fit_learns_which_word_is_good() -> None:
    texts = [
        Target([1, other, GOOD if at % 2 else BAD, 2], 0.8 if at % 2 else -0.8, float(at % 2))
        for other in OTHERS
        for at in range(8)
    ]
    network = small(1)
    fit_member(network, texts, MemberOptions(seed=0, rate=1e-3, epochs=3))
    answers = network(torch.tensor([[1, 11, GOOD, 2], [1, 11, BAD, 2]]), torch.ones((2, 4), dtype=torch.int64))
    assert answers[0, 0] > 0 > answers[1, 0]
    assert answers[0, 1] > 0 > answers[1, 1]


def test_the_restored_trunk_answers_as_the_served_graph() -> None:
    network = UnderstandingNetwork(EncoderShape(), 28, 6)
    network.load_state_dict(restored_weights(COMMITTED))
    ids = torch.tensor([[101, 1037, 9882, 1010, 25591, 3185, 102]])
    sentiment, emotion, _ = network.eval()(ids, torch.ones_like(ids))
    served = OnnxModel(COMMITTED, CPU).run({"input_ids": ids.numpy(), "attention_mask": torch.ones_like(ids).numpy()})
    assert sentiment.detach().numpy() == pytest.approx(served["sentiment"], abs=0.1)
    assert emotion.detach().numpy() == pytest.approx(served["emotion"], abs=0.3)
