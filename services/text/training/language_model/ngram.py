"""The baseline: an interpolated n-gram model with modified Kneser-Ney smoothing over the same tokens.

Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 5. A run of up
to five tokens fits into one 64-bit number, so counts are sorted arrays; well-known packages keep a Python object for
each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 12
LONGEST_ORDER = 5
# Where too few runs were seen to estimate from.
_DISCOUNTS_OF_FEW = (0.0, 0.5, 0.75, 0.9)

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Order:
    """Runs of one length: their discounted count; and for each context its total and what is left to shorter runs."""

    runs: Codes
    discounted: Floats
    contexts: Codes
    totals: Floats
    left: Floats


class NgramModel:
    """P(token | up to four tokens before) from counts."""

    def __init__(self, texts: Sequence[NDArray[np.int64]], tokens: int, order: int = LONGEST_ORDER) -> None:
        """Count the runs of texts whose first token only serves as context.

        Args:
            texts: tokens of each text, the end token first and last.
            tokens: size of the vocabulary, at most 4,096.
            order: length of the longest run, 2 to 5.
        """
        if not (2 <= order <= LONGEST_ORDER and tokens <= 1 << BITS):
            raise ValueError(f"order is 2 to {LONGEST_ORDER}, and there are at most {1 << BITS} tokens")
        self.tokens, self.order = tokens, order
        # A run never reaches into the text before: shorter runs stand for the beginning of a text.
        counted = [np.unique(_runs(texts, length), return_counts=True) for length in range(1, order + 1)]
        self._orders: list[_Order] = []
        for length in range(order, 0, -1):
            runs, counts = counted[length - 1]
            if length < order:
                # Before how many different tokens a run stands; a run at the beginning of a text keeps its count.
                longer = counted[length][0] & ((1 << (BITS * length)) - 1)
                followed, kinds = np.unique(longer, return_counts=True)
                counts = counts.copy()
                inner = np.searchsorted(runs, followed)
                began = np.unique(_first_runs(texts, length), return_counts=True)
                counts[:] = 0
                counts[inner] = kinds
                counts[np.searchsorted(runs, began[0])] += began[1]
            self._orders.insert(0, _discount(runs, counts.astype(np.float64), length))

    def probabilities(self, contexts: NDArray[np.int64], tokens: NDArray[np.int64]) -> Floats:
        """Return P(token | context) for contexts int64 [n, order - 1] padded on the left with -1, and tokens [n]."""
        result = np.full(len(tokens), 1.0 / self.tokens)
        code, usable = np.zeros(len(tokens), np.int64), np.ones(len(tokens), bool)
        for length, level in enumerate(self._orders, start=1):
            if length > 1:
                before = contexts[:, -(length - 1)]
                usable &= before >= 0
                code = code | (np.where(usable, before, 0) << (BITS * (length - 2)))
            known, total, left = _find(level.contexts, code, level.totals, level.left)
            seen, discounted, _ = _find(level.runs, (code << BITS) | tokens, level.discounted, level.discounted)
            known &= usable
            share = np.where(seen, discounted, 0.0)
            better = (share + left * result) / np.where(known, total, 1.0)
            result = np.where(known, better, result)
        return result

    def bits(self, text: NDArray[np.int64]) -> Floats:
        """Return the bits of each token of a text but the first, float64 [tokens - 1]."""
        width = self.order - 1
        padded = np.concatenate([np.full(width - 1, -1), text[:-1]])
        contexts = np.lib.stride_tricks.sliding_window_view(padded, width)
        return -np.log2(self.probabilities(contexts, text[1:]))

    def distribution(self, context: Sequence[int]) -> Floats:
        """Return the probability of every token after a context, float64 [tokens]."""
        width = self.order - 1
        last = [-1] * max(0, width - len(context)) + list(context)[-width:]
        return self.probabilities(np.tile(np.array(last), (self.tokens, 1)), np.arange(self.tokens))


def _runs(texts: Sequence[NDArray[np.int64]], length: int) -> Codes:
    """Return the codes of all runs of a length; those of one token leave out the first of each text."""
    return np.concatenate([_text_runs(text if length > 1 else text[1:], length) for text in texts])


def _first_runs(texts: Sequence[NDArray[np.int64]], length: int) -> Codes:
    if length == 1:
        return np.zeros(0, np.int64)
    return np.concatenate([_text_runs(text[:length], length) for text in texts])


def _text_runs(text: NDArray[np.int64], length: int) -> Codes:
    count = max(0, len(text) - length + 1)
    codes = np.zeros(count, np.int64)
    for place in range(length):
        codes = (codes << BITS) | text[place : place + count]
    return codes


def _discount(runs: Codes, counts: Floats, length: int) -> _Order:
    """Take from each count what its size deserves; single counts lose least in absolute terms, three and more most."""
    of_size = [float((counts == size).sum()) for size in (1, 2, 3, 4)]
    steps: tuple[float, ...] = _DISCOUNTS_OF_FEW
    if min(of_size) > 0:
        base = of_size[0] / (of_size[0] + 2 * of_size[1])
        ratios = [of_size[size] / of_size[size - 1] for size in (1, 2, 3)]
        steps = (0.0, *(max(0.1, size - (size + 1) * base * ratio) for size, ratio in enumerate(ratios, start=1)))
    taken = np.array(steps)[np.minimum(counts, 3).astype(int)]
    contexts, first = np.unique(runs >> BITS, return_index=True)
    return _Order(runs, counts - taken, contexts, np.add.reduceat(counts, first), np.add.reduceat(taken, first))


def _find(keys: Codes, wanted: Codes, *values: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    if not len(keys):
        return np.zeros(len(wanted), bool), np.zeros(len(wanted)), np.zeros(len(wanted))
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[places] == wanted
    first, second = (np.where(found, value[places], 0.0) for value in values)
    return found, first, second
