"""Memory of states that grow: the past of every text ends at one place, and moves on by a token without a copy."""

from __future__ import annotations

from math import prod

import numpy

from services.text.pipelines.generation.graph import Array

# Steps until the memory is copied back to where it began.
_SLACK = 64


class Window:
    """One growing state of all rows of a table.

    The newest token of each text is the last along the growing axis, as graphs expect, so a step moves every text by
    one place to the left. Instead of its contents the beginning of the array moves: one token further into the memory
    every element is the one that was to its right, and the last place of each line is what was the first of the next
    line, whose text has to leave before it needs it.

    Args:
        shape: of the array: rows, and the capacity along the growing axis.
        axis: the growing axis.
        dtype: of the elements.

    Attributes:
        array: the array as it lies now.
    """

    def __init__(self, shape: tuple[int, ...], axis: int, dtype: numpy.dtype[numpy.floating]) -> None:
        self._shape = shape
        self._axis = axis
        self._token = prod(shape[axis + 1 :])
        self._size = prod(shape)
        self._memory = numpy.zeros(self._size + _SLACK * self._token, dtype)
        self._moved = 0
        self.array = self._view()

    @property
    def size_bytes(self) -> int:
        """Size of the memory."""
        return int(self._memory.nbytes)

    def put(self, row: int, state: Array) -> None:
        """Fill the end of a row with the state [1, ...] of a text."""
        length = state.shape[self._axis]
        if length:
            _along(self.array[row : row + 1], self._axis)[-length:] = _along(state, self._axis)

    def take(self, row: int, length: int) -> Array:
        """Return a copy of the end of a row, [1, ...]."""
        one = _along(self.array[row : row + 1], self._axis)
        return numpy.ascontiguousarray(numpy.moveaxis(one[len(one) - length :], 0, self._axis)).copy()

    def advance(self, grown: Array) -> None:
        """Move all rows on by the token that is the last of `grown`, the same state with one place more."""
        if self._moved == _SLACK:
            self._rewind()
        self._moved += 1
        self.array = self._view()
        _along(self.array, self._axis)[-1] = _along(grown, self._axis)[-1]

    def _view(self) -> Array:
        start = self._moved * self._token
        return self._memory[start : start + self._size].reshape(self._shape)

    def _rewind(self) -> None:
        distance, self._moved = self._moved * self._token, 0
        # In parts that do not overlap with where they come from.
        for start in range(0, self._size, distance):
            end = min(start + distance, self._size)
            self._memory[start:end] = self._memory[start + distance : end + distance]


def _along(array: Array, axis: int) -> Array:
    return numpy.moveaxis(array, axis, 0)
