"""How near a decoder's graph is to the original: whole texts, step by step, and beside others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from services.runtime.training.imports.figures import (
    LEAST_NEIGHBOUR_COSINE,
    Figure,
    changed_choices,
    cosines,
)
from services.runtime.training.imports.importer import Precision
from services.runtime.training.imports.steps import Steps
from services.text.training.imports.decoder_network import state_names
from services.text.training.imports.decoder_plan import DecoderPlan
from services.text.training.parity import TokenIds

Array = NDArray[Any]
MOST_FLIPS: dict[Precision, float] = {"float32": 0.0, "float16": 0.002, "int8": 0.01}
MOST_DIVERGENCE: dict[Precision, float] = {"float32": 1e-5, "float16": 1e-4, "int8": 0.01}
_STEPPED = 8
_SHARED = 4
_SHARED_TOKENS = 6
_GAP = 5


class DecoderGraph:
    """Runs an exported decoder.

    Args:
        session: the graph.
        plan: how it is fed.
    """

    def __init__(self, session: onnxruntime.InferenceSession, plan: DecoderPlan) -> None:
        self._session = session
        self._plan = plan
        self._names = [before for before, _ in state_names(plan.layers)]

    def empty(self, rows: int, length: int = 0) -> list[Array]:
        """Return a past of zeros."""
        return [np.zeros((rows, self._plan.heads, length, self._plan.head_width), np.float32) for _ in self._names]

    def feeds(self, ids: Array, mask: Array, positions: Array, past: Sequence[Array]) -> dict[str, Array]:
        """Return the graph's inputs by name."""
        fed = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        return {**fed, **dict(zip(self._names, past, strict=True))}

    def run(self, ids: Array, mask: Array, positions: Array, past: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Return logits and states."""
        logits, *states = self._session.run(None, self.feeds(ids, mask, positions, past))
        return logits, states

    def read(
        self, tokens: Sequence[int], before: int = 0, past: Sequence[Array] | None = None
    ) -> tuple[Array, list[Array]]:
        """Read tokens of one text behind `before` others; returns logits [T, V] and states."""
        total = before + len(tokens)
        logits, states = self.run(
            np.array([tokens]), np.ones((1, total), np.int64), np.arange(before, total)[None], past or self.empty(1)
        )
        return logits[0], states


def compare(
    network: torch.nn.Module, graph: DecoderGraph, texts: TokenIds, precision: Precision, steps: Steps
) -> list[Figure]:
    """Return how near the graph is to the network, and its answers to each other.

    Args:
        network: the original.
        graph: what was made of it.
        texts: token ids of real texts.
        precision: of the graph; decides the limits.
        steps: told how far it is.
    """
    agreement, flips, divergence, positions = 0.0, 0.0, 0.0, 0
    stepped, shared = list(range(min(_STEPPED, len(texts)))), _mixed(texts)
    whole: dict[int, Array] = {}  # logits of all texts would be gigabytes
    with steps("Comparing with the original", len(texts)) as step, torch.no_grad():
        for index, ids in enumerate(texts):
            original = _logarithms(network(input_ids=torch.tensor([list(ids)])).logits[0].numpy())
            logits, _ = graph.read(ids)
            if index in stepped or index in shared:
                whole[index] = logits
            converted = _logarithms(logits)
            same, changed = changed_choices(np.exp(original), np.exp(converted))
            agreement += same * len(ids)
            flips += changed * len(ids)
            divergence += float((np.exp(original) * (original - converted)).sum())
            positions += len(ids)
            step.advance()
    return [
        Figure("share of tokens with the same first choice", agreement / positions),
        Figure("share whose first choice changed by more than 1 %", flips / positions, most=MOST_FLIPS[precision]),
        Figure("mean divergence (KL, nats a token)", divergence / positions, most=MOST_DIVERGENCE[precision]),
        Figure(
            "least cosine token by token against whole texts",
            _stepped(graph, [(texts[index], whole[index]) for index in stepped]),
            least=LEAST_NEIGHBOUR_COSINE,
        ),
        Figure(
            "least cosine alone against batched",
            _shared(graph, [(texts[index], whole[index]) for index in shared]),
            least=LEAST_NEIGHBOUR_COSINE,
        ),
    ]


def _mixed(texts: TokenIds) -> list[int]:
    """Return a few texts of different lengths, two tokens or more."""
    long = sorted((index for index, ids in enumerate(texts) if len(ids) >= 2), key=lambda index: len(texts[index]))
    return long[:: max(1, len(long) // _SHARED)][:_SHARED]


def _stepped(graph: DecoderGraph, texts: Sequence[tuple[Sequence[int], Array]]) -> float:
    """Return the least cosine of logits, one token a run with its past handed on, to those of the whole text.

    Args:
        graph: what is asked.
        texts: token ids, and the logits of the whole text.
    """
    least = 1.0
    for ids, expected in texts:
        past = graph.empty(1)
        found = []
        for before, token in enumerate(ids):
            logits, past = graph.read([token], before, past)
            found.append(logits[0])
        least = min(least, float(cosines(_centred(np.stack(found)), _centred(expected)).min()))
    return least


def _shared(graph: DecoderGraph, texts: Sequence[tuple[Sequence[int], Array]]) -> float:
    """Return the least cosine of one token's logits, run with other texts behind pasts of several lengths in rows that
    are filled up and masked, to those of the whole text; the arguments are those of `_stepped`.
    """
    lengths = [min(len(ids) - 1, _SHARED_TOKENS * (row + 1)) for row, (ids, _) in enumerate(texts)]
    capacity = max(lengths) + _GAP
    past = graph.empty(len(texts), capacity)
    mask = np.zeros((len(texts), capacity + 1), np.int64)
    mask[:, capacity] = 1
    for row, ((ids, _), length) in enumerate(zip(texts, lengths, strict=True)):
        _, states = graph.read(ids[:length])
        for place, state in zip(past, states, strict=True):
            place[row, :, :length] = state[0]
        mask[row, :length] = 1
    tokens = np.array([[ids[length]] for (ids, _), length in zip(texts, lengths, strict=True)])
    logits, _ = graph.run(tokens, mask, np.array(lengths)[:, None], past)
    expected = np.stack([whole[length] for (_, whole), length in zip(texts, lengths, strict=True)])
    return float(cosines(_centred(logits[:, 0]), _centred(expected)).min())


def _logarithms(logits: Array) -> NDArray[np.float64]:
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    return result


def _centred(logits: Array) -> Array:
    """Return logits without what all have in common, which changes no probability."""
    return logits - logits.mean(axis=1, keepdims=True)
