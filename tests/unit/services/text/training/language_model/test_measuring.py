from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from services.text.training.language_model.measuring import distinct_pairs, repetition, sample
from services.text.training.language_model.texts import FACTS, Text, cut
from services.text.training.language_model.tokens import END_TOKEN, LONGEST, TOKENS, Encoded, fit_tokenizer

TEXTS = [
    Text("A gorgeous, witty, seductive movie.", "movieReviewSnippets", "train"),
    Text("The year 1995 was a good year for films.", "movieReviewSnippets", "train"),
    Text("facts: title = Heat | year = 1995\ntext: Heat is a 1995 film.", FACTS, "train"),
]
TOKENIZER = fit_tokenizer(TEXTS)


@pytest.mark.parametrize("text", ["", "naïve café 🎬", "中文", "tab\tand\nline", "\x00\u202e", "1995 2001", "  two  "])
def test_any_text_can_be_read_and_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids) == text


def test_digits_stand_alone() -> None:
    tokens = TOKENIZER.encode(" 1995").tokens
    assert tokens[-4:] == ["1", "9", "9", "5"]
    assert TOKENIZER.get_vocab_size() <= TOKENS


def test_of_facts_only_the_sentence_is_counted() -> None:
    encoded = Encoded(TEXTS[2], TOKENIZER)
    assert TOKENIZER.decode(encoded.targets[encoded.first :].tolist()) == " Heat is a 1995 film."
    assert encoded.characters == len(" Heat is a 1995 film.")
    assert encoded.ids[0] == encoded.targets[-1] == END_TOKEN
    np.testing.assert_array_equal(encoded.ids[1:], encoded.targets[:-1])


def test_a_long_text_is_cut_and_its_characters_are_those_left() -> None:
    encoded = Encoded(Text("word " * 2000, "tweets", "test"), TOKENIZER)
    assert len(encoded.ids) == len(encoded.targets) == LONGEST
    assert encoded.characters == len(TOKENIZER.decode(encoded.targets.tolist()))


def test_sentences_are_joined_up_to_a_length() -> None:
    pieces = cut(["a" * 300, "b" * 300, "c" * 300, "d" * 900])
    assert [len(piece) for piece in pieces] == [601, 300, 900]


def test_distinct_pairs_and_repetition_of_known_texts() -> None:
    assert distinct_pairs(["one two three", "One two"]) == pytest.approx(2 / 3)
    assert repetition(["a b c d e a b c d"]) == pytest.approx(1 / 6)
    assert repetition(["a b c d", "a b c d"]) == 0
    assert distinct_pairs([""]) == repetition([""]) == 0


def test_a_sample_ends_with_the_text_and_keeps_to_its_seed() -> None:
    word, other = (TOKENIZER.encode(text).ids[0] for text in ("A", "T"))

    def three_then_end(context: Sequence[int]) -> NDArray[np.float64]:
        shares = np.zeros(TOKENIZER.get_vocab_size())
        shares[[END_TOKEN] if len(context) >= 4 else [word, other]] = 1
        result: NDArray[np.float64] = shares / shares.sum()
        return result

    def written(seed: int) -> str:
        return sample(three_then_end, TOKENIZER, "", seed=seed, temperature=0.8)

    assert len(written(1)) == 3
    assert written(1) == written(1)
    assert len({written(seed) for seed in range(20)}) > 1
    assert sample(three_then_end, TOKENIZER, "", seed=0, temperature=0) == TOKENIZER.decode([min(word, other)] * 3)
