"""The tokeniser of both language models, fitted on their texts: byte-level pairs, each digit by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from services.text.training.language_model.facts import split_pair
from services.text.training.language_model.texts import FACTS, Text

TOKENS = 3072
END = "<|end|>"
END_TOKEN = 0
"""Stands before and after every text."""
LONGEST = 256
"""Tokens of a text at most, its end included."""


def fit_tokenizer(texts: Sequence[Text]) -> Tokenizer:
    """Fit byte pairs (Sennrich et al. 2016) on texts to learn from; the same texts give the same tokeniser.

    Any text can be read, because each byte is a token. Digits stand alone, so that a number is copied digit by digit.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Made-up names would fill the vocabulary with parts of made-up names.
    prose = [each.text for each in texts if each.source != FACTS]
    facts = [each.text for each in texts if each.source == FACTS][:4000]
    tokenizer.train_from_iterator(prose + facts, trainer)
    return tokenizer


def tokenizer_bytes(tokenizer: Tokenizer) -> bytes:
    """Return the file `tokenizer.json`."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")).encode()


class Encoded:
    """One text as tokens: `ids` begin with the end token, `targets` end with it; `first` is the first target counted.

    Of facts only the sentence counts: what the facts are is not to be guessed.
    """

    __slots__ = ("characters", "first", "ids", "source", "targets")

    def __init__(self, text: Text, tokenizer: Tokenizer) -> None:
        """Encode and cut to `LONGEST` tokens."""
        tokens = tokenizer.encode(text.text).ids
        counted, self.first = text.text, 0
        if text.source == FACTS:
            prompt, sentence = split_pair(text.text)
            counted, self.first = f" {sentence}", len(tokenizer.encode(prompt).ids)
        whole = [END_TOKEN, *tokens, END_TOKEN][: LONGEST + 1]
        if len(whole) < len(tokens) + 2:
            counted = tokenizer.decode(whole[1 + self.first :])
        self.ids: NDArray[np.int64] = np.array(whole[:-1], np.int64)
        self.targets: NDArray[np.int64] = np.array(whole[1:], np.int64)
        self.characters, self.source = len(counted), text.source
