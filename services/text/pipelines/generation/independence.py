"""Finds out when a model is loaded, and by running it on this machine, how texts may share its runs without changing
each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from services.text.pipelines.generation.batch import capacity_of
from services.text.pipelines.generation.graph import LanguageGraph, States
from services.text.pipelines.generation.sampling import Floats
from services.text.pipelines.generation.slots import SlotTable

_STEPS = 2
_TEXTS = 3
_LENGTH = 5
_SEED = 5
_TOLERANCE = 0.02
"""Largest difference between a masked run and an exact one, as a share of the logits: for rounding, in 16 bits too."""


class _Probe:
    """A text whose logits are looked at, and neighbours."""

    def __init__(self, graph: LanguageGraph, slots: int) -> None:
        self._graph = graph
        self._slots = slots
        tokens = numpy.random.default_rng(_SEED).integers(0, graph.vocabulary, (_TEXTS, _LENGTH + _STEPS))
        self.tokens: list[list[int]] = tokens.tolist()
        self._states: list[States] = [
            graph.read(text[:_LENGTH], 0, graph.empty_states(1, 0))[1] for text in self.tokens
        ]
        self._table = SlotTable(graph, slots, capacity_of(_LENGTH + _STEPS, graph.growing()))

    def exact(self) -> Floats:
        """Return the logits of the steps, each text by itself and nothing padded."""
        states, found = self._states[0], []
        for step in range(_STEPS):
            before = _LENGTH + step
            logits, states = self._graph.read(self.tokens[0][before : before + 1], before, states)
            found.append(logits)
        return numpy.stack(found)

    def shared(self, width: int, row: int, neighbour: int) -> Floats:
        """Return the same from a run of `width` rows in which the other rows hold a neighbour."""
        texts = [0 if place == row else neighbour for place in range(width)]
        for place, text in enumerate(texts):
            self._table.put(place, self._states[text], _LENGTH)
        found = []
        for step in range(_STEPS):
            tokens = [self.tokens[text][_LENGTH + step] for text in texts]
            found.append(self._table.step(tokens, width)[row].copy())
        return numpy.stack(found)


def find_widths(graph: LanguageGraph, slots: int) -> Sequence[int]:
    """Return the numbers of rows that a run may have, ascending: those that give every row the same bits as a full
    run, in whatever row and beside whomever. It is 1 alone when rows of a full run influence each other, as those of
    a graph do that is quantised by what happens to be in the batch.

    Raises:
        ValueError: the graph sees what the mask hides, so that its texts would be wrong.
    """
    probe = _Probe(graph, slots)
    full = probe.shared(slots, 0, 1)
    exact = probe.exact()
    alone = probe.shared(1, 0, 1)
    # Logits of tokens that a model rules out may be as low as they like; the usual ones give the scale.
    spread = float(exact.max() - numpy.median(exact))
    if not numpy.allclose(alone, exact, rtol=_TOLERANCE, atol=_TOLERANCE * max(spread, _TOLERANCE)):
        raise ValueError("the graph's answers change with what its attention_mask hides")
    last = slots - 1
    if not all(numpy.array_equal(full, probe.shared(slots, row, 2)) for row in {0, last // 2, last}):
        return (1,)
    smaller = [1 << power for power in range(slots.bit_length()) if 1 << power < slots]
    return (
        *(
            width
            for width in smaller
            if all(numpy.array_equal(full, probe.shared(width, row, 2)) for row in {0, width - 1})
        ),
        slots,
    )
