"""The memory of texts that take their steps together: one row a text, all rows of one capacity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from services.runtime.engine import BoundRun
from services.text.pipelines.generation.graph import Array, LanguageGraph, States
from services.text.pipelines.generation.sampling import Floats


class SlotTable:
    """States of up to `rows` texts in fixed memory, for runs of one token a text.

    The past of a text lies at the beginning of its row, the rest of the row is masked, and the new token's part, which
    the graph puts behind the capacity, is copied to its place after the run. So all runs of a table have the same
    shapes but for the number of rows, and nothing is allocated or copied between them except what is new.

    Args:
        graph: the model.
        rows: texts that have room.
        capacity: tokens of one text that have room along the growing axes; 0 for a model without such.
    """

    def __init__(self, graph: LanguageGraph, rows: int, capacity: int) -> None:
        self._graph = graph
        self.capacity = capacity
        self._states = graph.description.states
        # The graph gives the past back with the new token behind it.
        self._past = graph.empty_states(rows, capacity)
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
        return sum(array.nbytes for array in (*self._past, *self._next, self._logits))

    def put(self, row: int, states: States, length: int) -> None:
        """Fill a row with the states of a text that has read `length` tokens, at most the capacity."""
        for past, state, description in zip(self._past, states, self._states, strict=True):
            if description.growing_axis is None:
                past[row] = state[0]
            else:
                axis = description.growing_axis - 1
                numpy.moveaxis(past[row], axis, 0)[:length] = numpy.moveaxis(state[0], axis, 0)
        self._mask[row, : self.capacity] = 0
        self._mask[row, :length] = 1
        self._lengths[row] = length

    def take(self, row: int) -> list[Array]:
        """Return a copy of a row's states, exactly as long as what was read."""
        length = int(self._lengths[row, 0])
        taken = []
        for past, description in zip(self._past, self._states, strict=True):
            one = past[row : row + 1]
            if description.growing_axis is not None:
                one = numpy.moveaxis(
                    numpy.moveaxis(one, description.growing_axis, 0)[:length], 0, description.growing_axis
                )
            taken.append(numpy.ascontiguousarray(one).copy())
        return taken

    def clear(self, row: int) -> None:
        """Forget a row: a run that passes over it sees nothing."""
        self._mask[row, : self.capacity] = 0
        self._lengths[row] = 0

    def move(self, source: int, target: int) -> None:
        """Copy a row over another."""
        for array in (*self._past, self._mask, self._lengths):
            array[target] = array[source]

    def step(self, start: int, end: int, rows: Sequence[int], tokens: Sequence[int]) -> Floats:
        """Run the rows from `start` to before `end` once.

        Args:
            start: first row of the run.
            end: row after its last.
            rows: those that take a step; the others stay as they are.
            tokens: newest token of each of `rows`.

        Returns:
            float32[len(rows), V]: the logits behind those tokens.
        """
        chosen = numpy.asarray(rows)
        self._ids[chosen, 0] = tokens
        run = self._bound.get((start, end))
        if run is None:
            run = self._bound[start, end] = self._bind(start, end)
        run.run()
        lengths = self._lengths[chosen, 0]
        for past, new, description in zip(self._past, self._next, self._states, strict=True):
            if description.growing_axis is None:
                past[chosen] = new[chosen]
            else:
                axis = description.growing_axis
                numpy.moveaxis(past, axis, 1)[chosen, lengths] = numpy.moveaxis(new, axis, 1)[chosen, self.capacity]
        if self.capacity:
            self._mask[chosen, lengths] = 1
        self._lengths[chosen] += 1
        logits: Floats = self._logits[chosen, 0].astype(numpy.float32, copy=False)
        return logits

    def _bind(self, start: int, end: int) -> BoundRun:
        def rows(arrays: Sequence[Array]) -> list[Array]:
            return [array[start:end] for array in arrays]

        ids, mask, lengths, logits = rows((self._ids, self._mask, self._lengths, self._logits))
        return self._graph.bind(self._graph.feeds(ids, mask, lengths, rows(self._past)), logits, rows(self._next))
