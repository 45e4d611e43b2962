"""The memory of texts that take their steps together: one row a text, all rows of one capacity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from services.runtime.engine import BoundRun
from services.text.pipelines.generation.graph import Array, LanguageGraph, States
from services.text.pipelines.generation.sampling import Floats
from services.text.pipelines.generation.windows import Window


class SlotTable:
    """States of up to `rows` texts in fixed memory, for runs of one token a text.

    All runs have the same shapes but for the number of rows, and between two of them nothing is allocated, and nothing
    copied but what is new. Every text in a row takes every step.

    Args:
        graph: the model.
        rows: texts that have room.
        capacity: tokens of one text that have room along the growing axes; 0 for a model without such.
    """

    def __init__(self, graph: LanguageGraph, rows: int, capacity: int) -> None:
        self._graph = graph
        self._capacity = capacity
        self._past: list[Array | Window] = [
            zeros
            if state.growing_axis is None
            else Window(state.sized(rows, capacity), state.growing_axis, zeros.dtype)
            for state, zeros in zip(graph.description.states, graph.empty_states(rows, 0), strict=True)
        ]
        # The graph gives the past back with the new token behind it.
        self._next = graph.empty_states(rows, capacity + 1)
        self._logits = graph.new_logits(rows)
        self._ids = numpy.zeros((rows, 1), numpy.int64)
        self._mask = numpy.zeros((rows, capacity + 1), numpy.int64)
        self._mask[:, capacity] = 1
        self._lengths = numpy.zeros((rows, 1), numpy.int64)
        self._bound: dict[tuple[int, int], BoundRun] = {}

    @property
    def size_bytes(self) -> int:
        """Size of the memory."""
        windows = sum(past.size_bytes if isinstance(past, Window) else past.nbytes for past in self._past)
        return windows + sum(array.nbytes for array in (*self._next, self._logits))

    def put(self, row: int, states: States, length: int) -> None:
        """Fill a row with the states of a text that has read `length` tokens, at most the capacity."""
        for past, state in zip(self._past, states, strict=True):
            if isinstance(past, Window):
                past.put(row, state)
            else:
                past[row] = state[0]
        self.clear(row)
        if self._capacity:
            self._mask[row, self._capacity - length : self._capacity] = 1
        self._lengths[row] = length

    def take(self, row: int) -> list[Array]:
        """Return a copy of a row's states, exactly as long as what was read."""
        length = int(self._lengths[row, 0])
        return [
            past.take(row, length) if isinstance(past, Window) else past[row : row + 1].copy() for past in self._past
        ]

    def clear(self, row: int) -> None:
        """Forget a row: a run that passes over it sees nothing."""
        self._mask[row, : self._capacity] = 0
        self._lengths[row] = 0

    def move(self, source: int, target: int) -> None:
        """Copy a row over another."""
        for past in self._past:
            array = past.array if isinstance(past, Window) else past
            array[target] = array[source]
        self._mask[target] = self._mask[source]
        self._lengths[target] = self._lengths[source]

    def step(self, tokens: Sequence[int], width: int) -> Floats:
        """Take one step for the texts in the first rows.

        Args:
            tokens: newest token of each of them.
            width: rows of a run; as many runs as that takes.

        Returns:
            float32[len(tokens), V]: the logits behind those tokens. It is overwritten by the next step.
        """
        count = len(tokens)
        self._ids[:count, 0] = tokens
        for start in range(0, count, width):
            self._run(start, start + width)
        for past, grown in zip(self._past, self._next, strict=True):
            if isinstance(past, Window):
                past.advance(grown)
            else:
                past[:count] = grown[:count]
        if self._capacity:
            self._mask[numpy.arange(count), self._capacity - 1 - self._lengths[:count, 0]] = 1
        self._lengths[:count] += 1
        logits: Floats = self._logits[:count, 0].astype(numpy.float32, copy=False)
        return logits

    def _run(self, start: int, end: int) -> None:
        run = self._bound.get((start, end))
        names = (state.input for state in self._graph.description.states)
        moved = {
            name: past.array[start:end]
            for name, past in zip(names, self._past, strict=True)
            if isinstance(past, Window)
        }
        if run is None:
            run = self._bound[start, end] = self._bind(start, end)
        run.run(moved)

    def _bind(self, start: int, end: int) -> BoundRun:
        past = [(one.array if isinstance(one, Window) else one)[start:end] for one in self._past]
        ids, mask, lengths = self._ids[start:end], self._mask[start:end], self._lengths[start:end]
        feeds = self._graph.feeds(ids, mask, lengths, past)
        return self._graph.bind(feeds, self._logits[start:end], [array[start:end] for array in self._next])
