"""A language model's graph: reading a prompt, and the tensors of its states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import numpy.typing

from services.runtime.engine import BoundRun
from services.runtime.repository.loader import LoadedModel
from services.text.pipelines.generation.description import (
    IDS,
    LOGITS,
    MASK,
    POSITIONS,
    LanguageModelDescription,
    StateDescription,
)
from services.text.pipelines.generation.sampling import Floats

Array = numpy.typing.NDArray[Any]
States = Sequence[Array]
_TYPES: dict[str, type[numpy.floating[Any]]] = {"FP16": numpy.float16, "FP32": numpy.float32}


class LanguageGraph:
    """Runs one model. What it carries on is handed in and out, so that any number of texts may be in the making.

    Attributes:
        description: how it is fed.
        vocabulary: number of tokens.
        has_mask: whether it takes a mask of the tokens that count.
        has_positions: whether it takes the tokens' places.

    Raises:
        ValueError: a tensor has a datatype that is not supported.
    """

    def __init__(self, model: LoadedModel, description: LanguageModelDescription) -> None:
        self.description = description
        self._onnx = model.onnx
        self.has_mask = MASK in model.onnx.input_names
        self.has_positions = POSITIONS in model.onnx.input_names
        datatypes = {tensor.name: tensor.datatype for tensor in (*model.manifest.inputs, *model.manifest.outputs)}
        wrong = [name for name in (*self._state_names(), LOGITS) if datatypes[name] not in _TYPES]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: states and logits are FP32 or FP16")
        self._types = [_TYPES[datatypes[state.input]] for state in description.states]
        self._logits_type = _TYPES[datatypes[LOGITS]]
        logits, _ = self.read([0], 0, self.empty_states(1, 0))
        self.vocabulary = len(logits)

    def empty_states(self, rows: int, length: int) -> list[Array]:
        """Return states of zeros for so many rows, and so many tokens along the growing axes."""
        return [
            numpy.zeros(state.sized(rows, length), kind)
            for state, kind in zip(self.description.states, self._types, strict=True)
        ]

    def read(self, tokens: Sequence[int], before: int, states: States) -> tuple[Floats, list[Array]]:
        """Read tokens of one text.

        Args:
            tokens: 1 or more.
            before: tokens that were read before them.
            states: what that left, exactly as long.

        Returns:
            The logits float32[V] behind the last token, and the states.
        """
        ids = numpy.array([tokens], numpy.int64)
        total = before + len(tokens)
        feeds = self.feeds(
            ids, numpy.ones((1, total), numpy.int64), numpy.arange(before, total, dtype=numpy.int64)[None], states
        )
        outputs = self._onnx.run(feeds)
        logits: Floats = outputs[LOGITS][0, -1].astype(numpy.float32)
        return logits, [outputs[state.output] for state in self.description.states]

    def feeds(self, ids: Array, mask: Array, positions: Array, states: States) -> dict[str, Array]:
        """Return the graph's inputs by name; mask and positions only where it takes them."""
        fed = {IDS: ids}
        if self.has_mask:
            fed[MASK] = mask
        if self.has_positions:
            fed[POSITIONS] = positions
        fed.update(zip((state.input for state in self.description.states), states, strict=True))
        return fed

    def bind(self, feeds: dict[str, Array], logits: Array, states: States) -> BoundRun:
        """Return a run on fixed memory: see `OnnxModel.bind`."""
        names = (state.output for state in self.description.states)
        return self._onnx.bind(feeds, {LOGITS: logits, **dict(zip(names, states, strict=True))})

    def new_logits(self, rows: int) -> Array:
        """Return memory for the logits of one token a row, [rows, 1, V]."""
        return numpy.zeros((rows, 1, self.vocabulary), self._logits_type)

    def growing(self) -> bool:
        """Whether a state grows with the text."""
        return any(state.growing_axis is not None for state in self.description.states)

    def _state_names(self) -> list[str]:
        states: Sequence[StateDescription] = self.description.states
        return [state.input for state in states]
