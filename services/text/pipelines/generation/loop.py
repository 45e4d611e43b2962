"""The step loop: while texts are in the making, each table takes one step after the other."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import grpc

from services.runtime.batching.work import Ticket
from services.runtime.errors import ServiceError
from services.runtime.logs import get_logger
from services.runtime.request_context import Priority
from services.text.pipelines.generation.batch import Group, StepTurn, capacity_of
from services.text.pipelines.generation.graph import LanguageGraph
from services.text.pipelines.generation.reader import Piece, Reader

_logger = get_logger(__name__)
# How often texts that wait for their readers are looked at when nothing else is done.
_LOOK_SECONDS = 1.0
# Empty tables of more than this are given back.
_KEPT_BYTES = 32 << 20


class Turn(Protocol):
    """One run of the model."""

    rows: int

    @property
    def cost(self) -> int:
        """Tokens of the run."""

    @property
    def readers(self) -> Sequence[Reader]:
        """The texts that the run is for."""

    def run(self) -> None:
        """Run the model once, on the engine."""


TakeTurn = Callable[[Turn, Priority], Awaitable[Ticket[None]]]


async def do_turn(take_turn: TakeTurn, turn: Turn) -> Ticket[None]:
    """Wait for a turn and share out its time; the texts it was for get to know what it made."""
    priority = min((reader.priority for reader in turn.readers), default=Priority.NORMAL)
    ticket = await take_turn(turn, priority)
    for reader in turn.readers:
        reader.compute_seconds += ticket.compute_seconds
        reader.share_seconds += ticket.compute_seconds / len(turn.readers)
        reader.publish(reader.take_fresh())
    return ticket


class StepLoop:
    """Takes the steps of one model's texts. Lives on the event loop; ends when there is no text, so that an idle model
    can be unloaded.

    Args:
        graph: the model.
        slots: texts in the making at the same time.
        widths: see `find_widths`.
        stalled_seconds: how long a text may wait for its reader.
    """

    def __init__(self, graph: LanguageGraph, slots: int, widths: Sequence[int], stalled_seconds: float) -> None:
        self._graph = graph
        self._slots = slots
        self._widths = widths
        self._growing = graph.growing()
        self._stalled = stalled_seconds
        self._groups: dict[int, Group] = {}
        # Texts without a row, since they wait for their readers.
        self._resting: list[Reader] = []
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def join(self, reader: Reader, take_turn: TakeTurn) -> None:
        """Let a text whose prompt was read take part from the next step on."""
        self._assign(reader)
        self._news.set()
        if self._task is None:
            # It outlives the call that happens to start it.
            self._task = asyncio.create_task(self._run(take_turn), context=contextvars.Context())

    def wake(self) -> None:
        """Look again: a reader has read or left."""
        self._news.set()

    def _assign(self, reader: Reader) -> None:
        capacity = capacity_of(reader.read, self._growing)
        group = self._groups.get(capacity)
        if group is None:
            group = self._groups[capacity] = Group(self._graph, self._slots, capacity, self._widths)
        group.joining.append(reader)

    async def _run(self, take_turn: TakeTurn) -> None:
        try:
            while self._resting or any(not group.empty for group in self._groups.values()):
                self._news.clear()
                self._give_up()
                self._wake_up()
                groups = [group for group in self._groups.values() if group.joining or group.stepping()]
                if len(groups) == 1:
                    await self._step(take_turn, groups[0])
                elif groups:
                    await asyncio.gather(*(self._step(take_turn, group) for group in groups))
                else:
                    # Every text waits for its reader.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)
        except Exception as error:
            # Nobody may be left waiting for a loop that is gone.
            _logger.exception("the step loop failed")
            for reader in self._readers():
                reader.fail(error)
            self._groups.clear()
            self._resting.clear()
        finally:
            self._task = None
            self._groups = {key: group for key, group in self._groups.items() if group.size_bytes <= _KEPT_BYTES}

    def _readers(self) -> list[Reader]:
        groups = self._groups.values()
        return [*self._resting, *(reader for group in groups for reader in (*group.readers, *group.joining))]

    def _wake_up(self) -> None:
        """Let texts go on whose readers have read."""
        resting, self._resting = self._resting, []
        for reader in resting:
            if reader.paused and not reader.ended:
                self._resting.append(reader)
            elif not reader.ended:
                self._assign(reader)

    def _give_up(self) -> None:
        now = time.monotonic()
        for reader in self._readers():
            if reader.stalled_for(now) > self._stalled:
                reader.fail(_too_slow(self._stalled))

    async def _step(self, take_turn: TakeTurn, group: Group) -> None:
        loop = asyncio.get_running_loop()
        turn = StepTurn(group, lambda made: loop.call_soon_threadsafe(_publish, made))
        if not turn.readers:
            return
        try:
            ticket = await do_turn(take_turn, turn)
            group.observe(ticket.compute_seconds, turn.taken)
        except Exception as error:
            for reader in turn.readers:
                reader.fail(error)
        finally:
            self._resting += turn.resting
            for reader in turn.grown:
                if not reader.ended:
                    self._assign(reader)


def _publish(made: Sequence[tuple[Reader, Sequence[Piece]]]) -> None:
    for reader, pieces in made:
        reader.publish(pieces)


def _too_slow(seconds: float) -> ServiceError:
    return ServiceError(
        grpc.StatusCode.ABORTED,
        "READER_TOO_SLOW",
        f"nothing was read for {seconds:g} s while text was waiting; read the stream faster, or ask for less",
        metadata={"limit_seconds": f"{seconds:g}"},
    )
