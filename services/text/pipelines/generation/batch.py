"""Who takes the next steps together, and the runs that make them."""

from __future__ import annotations

from collections.abc import Sequence

from services.text.pipelines.generation.graph import LanguageGraph
from services.text.pipelines.generation.reader import Reader
from services.text.pipelines.generation.slots import SlotTable

CHUNK_TOKENS = 64
"""Tokens of a prompt that are read in one run, so that others' steps wait for no more than that."""
_SMALLEST_CAPACITY = 64


class PromptTurn:
    """Reads the next part of one text's prompt; the last part gives the first token."""

    rows = 1

    def __init__(self, graph: LanguageGraph, reader: Reader) -> None:
        self._graph = graph
        self._reader = reader
        self.tokens = reader.prompt[reader.read : reader.read + CHUNK_TOKENS]

    @property
    def cost(self) -> int:
        """Tokens that are read."""
        return len(self.tokens)

    @property
    def readers(self) -> Sequence[Reader]:
        """The texts that the run is for."""
        return [self._reader]

    def run(self) -> None:
        """Run the model once, on the engine."""
        reader = self._reader
        states = reader.states or self._graph.empty_states(1, 0)
        logits, reader.states = self._graph.read(self.tokens, reader.read, states)
        reader.read += len(self.tokens)
        if reader.read == len(reader.prompt):
            reader.advance(logits)


class StepTurn:
    """One token for each text of one table that is not paused."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._joining = group.take_joining()
        self.readers: Sequence[Reader] = [*group.stepping(), *self._joining]
        self.rows = self.cost = len(self.readers)

    def run(self) -> None:
        """Run the model once, on the engine."""
        self._group.run(self.readers, self._joining)


class Group:
    """Texts of one capacity with their table.

    Args:
        graph: the model.
        slots: most texts.
        capacity: tokens that a text may have read.
        widths: numbers of rows that a run may have, ascending; the last is at least `slots`, unless rows of the model
            influence each other, and then 1 is the only one.

    Attributes:
        joining: texts that get a row with the next turn.
    """

    def __init__(self, graph: LanguageGraph, slots: int, capacity: int, widths: Sequence[int]) -> None:
        self._widths = widths
        self._alone = widths[-1] == 1
        self._rows: list[Reader | None] = [None] * slots
        self._table = SlotTable(graph, slots, capacity)
        self._capacity = capacity
        self.joining: list[Reader] = []

    @property
    def size_bytes(self) -> int:
        """Size of the table."""
        return self._table.size_bytes

    @property
    def empty(self) -> bool:
        """Whether it has no text."""
        return not self.joining and all(reader is None or reader.ended for reader in self._rows)

    def readers(self) -> list[Reader]:
        """Return the texts in rows."""
        return [reader for reader in self._rows if reader is not None]

    def stepping(self) -> list[Reader]:
        """Return the texts in rows that are to take a step."""
        return [reader for reader in self.readers() if not reader.ended and not reader.paused]

    def take_joining(self) -> list[Reader]:
        """Return the texts that get a row with the turn that is being made."""
        taken, self.joining = [reader for reader in self.joining if not reader.ended], []
        return taken

    def run(self, readers: Sequence[Reader], joining: Sequence[Reader]) -> None:
        """Take one step for `readers`, on the engine, of whom `joining` have no row yet. Meanwhile nobody else touches
        the rows.
        """
        self._settle(joining)
        wanted = set(map(id, readers))
        rows = [row for row, reader in enumerate(self._rows) if reader is not None and id(reader) in wanted]
        runs = [[row] for row in rows] if self._alone else [rows]
        for some in runs:
            self._step(some)

    def _step(self, rows: Sequence[int]) -> None:
        stepping = [reader for row in rows if (reader := self._rows[row]) is not None]
        tokens = [reader.newest for reader in stepping]
        start = rows[0] if self._alone else 0
        end = start + next(width for width in self._widths if width > rows[-1] - start)
        all_logits = self._table.step(start, end, rows, tokens)
        for row, reader, logits in zip(rows, stepping, all_logits, strict=True):
            reader.read += 1
            reader.advance(logits)
            if self._capacity and reader.read >= self._capacity and not reader.ended:
                reader.states = self._table.take(row)
                self._drop(row)

    def _settle(self, joining: Sequence[Reader]) -> None:
        """Give rows to those who join, and keep the rows in use the first ones: a run is as wide as they reach."""
        kept = [reader is not None and not reader.ended for reader in self._rows]
        free = [row for row, is_kept in enumerate(kept) if not is_kept]
        for row in free:
            self._drop(row)
        for reader in joining:
            row = free.pop(0)
            self._rows[row] = reader
            self._table.put(row, reader.states, reader.read)
            reader.states = ()
        used = [row for row, reader in enumerate(self._rows) if reader is not None]
        while free and used and free[0] < used[-1]:
            source, target = used.pop(), free.pop(0)
            self._table.move(source, target)
            self._rows[target] = self._rows[source]
            self._drop(source)

    def _drop(self, row: int) -> None:
        self._rows[row] = None
        self._table.clear(row)


def capacity_of(read: int, growing: bool) -> int:
    """Return the capacity of the table for a text that has read so many tokens: it has room for at least one more.
    Nothing but the text itself decides it.
    """
    if not growing:
        return 0
    capacity = _SMALLEST_CAPACITY
    while capacity <= read:
        capacity *= 2
    return capacity
