"""Who takes the next steps together, and the runs that make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.text.pipelines.generation.graph import LanguageGraph
from services.text.pipelines.generation.reader import Piece, Reader
from services.text.pipelines.generation.slots import SlotTable

CHUNK_TOKENS = 64
"""Tokens of a prompt that are read in one run, so that others' steps wait for no more than that."""
_SMALLEST_CAPACITY = 64
_TURN_SECONDS = 0.004
_MOST_STEPS = 16
Tell = Callable[[Sequence[tuple[Reader, Sequence[Piece]]]], object]


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
    """A few tokens for each text of one table that is not paused; one for a model that takes its time.

    Args:
        group: the texts and their table.
        tell: called on the engine with what each step but the last has made.

    Attributes:
        resting: texts that lost their row since they wait for their readers.
        grown: texts that lost their row since it is too short now.
        taken: steps that were taken.
    """

    def __init__(self, group: Group, tell: Tell) -> None:
        self._group = group
        self._tell = tell
        self._joining = group.take_joining()
        self._steps = group.steps
        self.readers: Sequence[Reader] = [*group.stepping(), *self._joining]
        self.resting: list[Reader] = []
        self.grown: list[Reader] = []
        self.taken = 0
        self.rows = len(self.readers)

    @property
    def cost(self) -> int:
        """Tokens that are made."""
        return self.rows * self._steps

    def run(self) -> None:
        """Run the model, on the engine; meanwhile nobody else touches the rows. It ends early when a text ends, pauses
        or needs a longer row, and when somebody waits to join.
        """
        self.resting += self._group.settle(self.readers, self._joining)
        while True:
            self.grown += self._group.step()
            self.taken += 1
            if self.taken >= self._steps or self.grown or self._group.joining:
                return
            if any(reader.ended or reader.paused for reader in self.readers):
                return
            self._tell([(reader, reader.take_fresh()) for reader in self.readers])


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
        steps: steps of a turn.
    """

    def __init__(self, graph: LanguageGraph, slots: int, capacity: int, widths: Sequence[int]) -> None:
        self._widths = widths
        self._table = SlotTable(graph, slots, capacity)
        self._capacity = capacity
        self._readers: list[Reader] = []
        self.joining: list[Reader] = []
        self.steps = 1

    def observe(self, turn_seconds: float, steps: int) -> None:
        """Choose how many steps a turn takes, by how long one took: what waits in the queue, and who wants to join, is
        not held up noticeably, and fast models are not held up by the queue.
        """
        self.steps = max(1, min(_MOST_STEPS, int(_TURN_SECONDS * steps / max(turn_seconds, 1e-6))))

    @property
    def size_bytes(self) -> int:
        """Size of the table."""
        return self._table.size_bytes

    @property
    def empty(self) -> bool:
        """Whether it has no text."""
        return not self.joining and all(reader.ended for reader in self._readers)

    @property
    def readers(self) -> Sequence[Reader]:
        """The texts in rows, in their order."""
        return self._readers

    def stepping(self) -> list[Reader]:
        """Return the texts in rows that are to take a step."""
        return [reader for reader in self._readers if not reader.ended and not reader.paused]

    def take_joining(self) -> list[Reader]:
        """Return the texts that get a row with the turn that is being made."""
        taken, self.joining = [reader for reader in self.joining if not reader.ended], []
        return taken

    def settle(self, stepping: Sequence[Reader], joining: Sequence[Reader]) -> list[Reader]:
        """Give the first rows to those who take the next step: the others lose theirs, and `joining` get some.
        Returns the paused ones, with their states.
        """
        wanted = set(map(id, stepping))
        resting = []
        for row in reversed(range(len(self._readers))):
            reader = self._readers[row]
            if id(reader) not in wanted:
                if not reader.ended:
                    reader.states = self._table.take(row)
                    resting.append(reader)
                self._remove(row)
        for reader in joining:
            self._table.put(len(self._readers), reader.states, reader.read)
            self._readers.append(reader)
            reader.states = ()
        return resting

    def step(self) -> list[Reader]:
        """Take one step for all texts in rows; returns those that need a longer row now, with their states."""
        count = len(self._readers)
        width = next((width for width in self._widths if width >= count), self._widths[-1])
        logits = self._table.step([reader.newest for reader in self._readers], width)
        grown = []
        for row in reversed(range(count)):
            reader = self._readers[row]
            reader.read += 1
            reader.advance(logits[row])
            if self._capacity and reader.read >= self._capacity:
                if not reader.ended:
                    reader.states = self._table.take(row)
                    grown.append(reader)
                self._remove(row)
        return grown

    def _remove(self, row: int) -> None:
        """Free a row; the last text moves into it, so that the rows in use stay the first ones."""
        last = len(self._readers) - 1
        if row != last:
            self._table.move(last, row)
            self._readers[row] = self._readers[last]
        self._table.clear(last)
        self._readers.pop()


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
