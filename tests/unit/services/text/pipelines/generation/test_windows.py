from __future__ import annotations

from typing import Any

import numpy
import pytest

from services.text.pipelines.generation.windows import Window

ROWS, CAPACITY = 3, 8
SHAPES = {1: (ROWS, CAPACITY, 2, 5), 2: (ROWS, 2, CAPACITY, 5), 3: (ROWS, 2, 5, CAPACITY)}


def grown(axis: int, newest: Any) -> Any:
    """Return an array of one place more whose last place holds `newest` of each row."""
    shape = [length + (one == axis) for one, length in enumerate(SHAPES[axis])]
    array = numpy.full(shape, -1, numpy.float32)
    numpy.moveaxis(array, axis, 0)[-1] = numpy.asarray(newest, numpy.float32).reshape(-1, 1, 1)
    return array


def tokens(state: Any, axis: int) -> list[float]:
    """Return what each place of a state [1, ...] holds, the same in all of its numbers."""
    lines = numpy.moveaxis(state, axis, 0).reshape(state.shape[axis], -1)
    assert (lines == lines[:, :1]).all()
    return [float(line[0]) for line in lines]


@pytest.mark.parametrize("axis", SHAPES)
@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float16])
def test_texts_of_any_length_move_on_together_for_as_long_as_they_like(axis: int, dtype: Any) -> None:
    window = Window(SHAPES[axis], axis, numpy.dtype(dtype))
    # A text that has come to the capacity makes room for another in its row.
    begun = {0: 0, 1: 40, 2: 100}
    for step in range(300):
        window.advance(grown(axis, [step * 4 + row for row in range(ROWS)]))
        for row, first in begun.items():
            if step < first:
                continue
            length = (step - first) % CAPACITY + 1
            found = tokens(window.take(row, length), axis)
            assert found == [one * 4 + row for one in range(step - length + 1, step + 1)]
    assert window.array.flags.c_contiguous


def test_a_row_is_put_where_the_others_end() -> None:
    window = Window(SHAPES[2], 2, numpy.dtype(numpy.float32))
    for step in range(70):
        window.advance(grown(2, [step] * ROWS))
    state = numpy.moveaxis(numpy.broadcast_to(numpy.arange(5.0).reshape(5, 1, 1, 1), (5, 1, 2, 5)), 0, 2)
    window.put(1, state.astype(numpy.float32))
    window.advance(grown(2, [70, 5, 70]))
    assert tokens(window.take(1, 6), 2) == [0, 1, 2, 3, 4, 5]
    assert tokens(window.take(0, 3), 2) == [68, 69, 70]
    assert tokens(window.take(2, 3), 2) == [68, 69, 70]
