"""A language model read from its version folder's files and run step by step, without torch and without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.training.publish import cpu_session
from services.text.training.language_model.tokens import END_TOKEN, Encoded

States = dict[str, NDArray[np.float32]]
Floats = NDArray[np.float64]
_TOKENS_A_RUN = 4096


class ServedModel:
    """The graph and `generation.json` of a version."""

    def __init__(self, graph: bytes, generation: bytes) -> None:
        """Open a CPU session with one thread."""
        self.session = cpu_session(graph)
        self._generation: Mapping[str, Any] = json.loads(generation)
        self._inputs = {value.name for value in self.session.get_inputs()}

    def start(self, rows: int) -> States:
        """Return the state before any token, by input name."""
        states = {}
        for state in self._generation["states"]:
            shape = [0 if axis == state["growing_axis"] else size for axis, size in enumerate(state["shape"])]
            states[state["input"]] = np.zeros([rows, *shape[1:]], np.float32)
        return states

    def run(self, ids: NDArray[np.int64], states: States) -> tuple[NDArray[np.float32], States]:
        """Return logits float32 [B, T, V] after tokens [B, T], and the next state."""
        names = {state["output"]: state["input"] for state in self._generation["states"]}
        logits, *rest = self.session.run(["logits", *names], self.feeds(ids, states))
        return logits, dict(zip(names.values(), rest, strict=True))

    def feeds(self, ids: NDArray[np.int64], states: States) -> dict[str, NDArray[Any]]:
        """Return the inputs of a run over tokens [B, T] after a state."""
        feeds: dict[str, NDArray[Any]] = {"input_ids": ids, **states}
        if "attention_mask" in self._inputs:
            first = self._generation["states"][0]
            past = states[first["input"]].shape[first["growing_axis"]]
            feeds["attention_mask"] = np.ones((len(ids), past + ids.shape[1]), np.int64)
            feeds["position_ids"] = np.tile(np.arange(past, past + ids.shape[1]), (len(ids), 1))
        return feeds

    def logits(self, texts: Sequence[Encoded]) -> list[NDArray[np.float32]]:
        """Return the logits of the counted targets of each text, float32 [counted, V]; like lengths share a run."""
        found: list[NDArray[np.float32]] = [np.zeros((0, 0), np.float32)] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index].ids))
        while order:
            width = len(texts[order[-1]].ids)
            rows, order = order[-(_TOKENS_A_RUN // width) :], order[: -(_TOKENS_A_RUN // width)]
            ids = np.zeros((len(rows), width), np.int64)
            for row, index in enumerate(rows):
                ids[row, : len(texts[index].ids)] = texts[index].ids
            logits, _ = self.run(ids, self.start(len(rows)))
            for row, index in enumerate(rows):
                found[index] = logits[row, texts[index].first : len(texts[index].ids)]
        return found

    def generator(self) -> Distributions:
        """Return what says the next token's probabilities in a text that grows token by token."""
        return Distributions(self)


class Distributions:
    """One text under way."""

    def __init__(self, model: ServedModel) -> None:
        """Start with an empty text."""
        self._model, self._states, self._read = model, model.start(1), 0

    def __call__(self, context: Sequence[int]) -> Floats:
        """Return the probability of each token after the context, of which only what is new is run."""
        logits, self._states = self._model.run(np.array([context[self._read :]], np.int64), self._states)
        self._read = len(context)
        scores = logits[0, -1].astype(np.float64)
        shares = np.exp(scores - scores.max())
        result: Floats = shares / shares.sum()
        return result


def target_bits(logits: NDArray[np.float32], text: Encoded) -> Floats:
    """Return the bits of each counted target, float64 [counted]."""
    scores = logits.astype(np.float64)
    highest = scores.max(axis=1)
    sums = np.log(np.exp(scores - highest[:, None]).sum(axis=1)) + highest
    targets = text.targets[text.first :]
    result: Floats = (sums - scores[np.arange(len(targets)), targets]) / np.log(2)
    return result


def begin(prompt: Sequence[int]) -> list[int]:
    """Return the tokens to go on from."""
    return [END_TOKEN, *prompt]
