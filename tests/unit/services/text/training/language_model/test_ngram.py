from __future__ import annotations

import numpy as np
import pytest

from services.text.training.language_model.ngram import NgramModel

TEXTS = [np.array(text) for text in ([0, 1, 2, 3, 0], [0, 1, 2, 4, 0], [0, 1, 2, 3, 0], [0, 5, 2, 3, 0], [0, 2, 1, 0])]


@pytest.mark.parametrize("context", [[0], [0, 1], [0, 1, 2], [0, 6, 6, 6, 6], [6], [0, 5, 2, 3]])
def test_probabilities_after_any_context_sum_to_one(context: list[int]) -> None:
    shares = NgramModel(TEXTS, tokens=8).distribution(context)
    assert shares.sum() == pytest.approx(1)
    assert shares.min() > 0


def test_what_followed_often_is_likely_and_what_never_came_is_not_impossible() -> None:
    shares = NgramModel(TEXTS, tokens=8).distribution([0, 1, 2])
    assert shares.argmax() == 3
    assert shares[3] > shares[4] > shares[7] > 0


def test_the_order_of_two_tokens_is_known() -> None:
    model = NgramModel(TEXTS, tokens=8, order=2)
    assert model.distribution([1])[2] > model.distribution([2])[1]


def test_a_token_after_many_different_ones_is_likelier_where_nothing_is_known() -> None:
    """Kneser-Ney: after an unknown context counts how many kinds of context a token had, not how often it came."""
    texts = [np.array([0, 1, 2, 0])] * 6 + [np.array([0, left, 3, 0]) for left in (1, 4, 5)]
    shares = NgramModel(texts, tokens=8).distribution([7])
    assert shares[3] > shares[2]


def test_bits_of_a_text_are_those_of_its_tokens_one_by_one() -> None:
    model = NgramModel(TEXTS, tokens=8)
    text = np.array([0, 1, 2, 3, 0])
    expected = [-np.log2(model.distribution(text[:place].tolist())[text[place]]) for place in range(1, 5)]
    np.testing.assert_allclose(model.bits(text), expected)


@pytest.mark.parametrize(("tokens", "order"), [(8, 1), (8, 6), (5000, 3)])
def test_what_does_not_fit_into_a_code_is_refused(tokens: int, order: int) -> None:
    with pytest.raises(ValueError, match="order is 2 to 5"):
        NgramModel(TEXTS, tokens, order)
