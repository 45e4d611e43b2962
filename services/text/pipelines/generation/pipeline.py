"""Prompt to text, piece by piece: a slot, the prompt in chunks, then steps shared with the other readers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from marquee.text.v1 import generation_pb2 as pb
from services.runtime.batching.lane import Lane, ModelIdentity
from services.runtime.batching.work import Ticket
from services.runtime.data_plane import DataPlane, Timings
from services.runtime.errors import FieldViolation, InvalidRequest, ServiceError
from services.runtime.pipeline import Pipeline, Place, Placement, Prepared, Size
from services.runtime.repository.loader import LoadedModel
from services.runtime.request_context import Priority, current_request
from services.text.pipelines.generation.batch import PromptTurn
from services.text.pipelines.generation.description import read_description
from services.text.pipelines.generation.gate import SlotGate
from services.text.pipelines.generation.graph import LanguageGraph
from services.text.pipelines.generation.independence import find_widths
from services.text.pipelines.generation.loop import StepLoop, TakeTurn, Turn, do_turn
from services.text.pipelines.generation.options import Generation
from services.text.pipelines.generation.reader import Piece, Reader

_INLINE_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class GenerationLimits:
    """What a process lets language models take.

    Attributes:
        slots: texts of one model in the making at the same time.
        maximum_waiting: calls that may wait for a slot of one model.
        context_tokens: most tokens of prompt and text together, for models whose states grow.
        stalled_seconds: how long a text may wait for its reader.
    """

    slots: int = 8
    maximum_waiting: int = 64
    context_tokens: int = 4_096
    stalled_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class ReadPrompt:
    """A prompt as tokens.

    Attributes:
        tokens: what will be read, 1 or more.
        truncated: whether its beginning was left out.
    """

    tokens: Sequence[int]
    truncated: bool


@dataclass(slots=True)
class Progress:
    """What became of one generation; filled in while it goes on.

    Attributes:
        prompt_tokens: tokens of the prompt that were read.
        truncated: whether its beginning was left out.
        generated_tokens: tokens made.
        first_token_seconds: from the arrival of the call to its first token.
        timings: where the time went.
    """

    prompt_tokens: int = 0
    truncated: bool = False
    generated_tokens: int = 0
    first_token_seconds: float = 0.0
    timings: Timings = field(default_factory=lambda: Timings(0, 0))

    def usage(self) -> pb.GenerationUsage:
        """Return what the reply says of it."""
        return pb.GenerationUsage(
            prompt_tokens=self.prompt_tokens,
            generated_tokens=self.generated_tokens,
            prompt_truncated=self.truncated,
            first_token_microseconds=int(self.first_token_seconds * 1e6),
        )


class GenerationPipeline(Pipeline[Generation, Turn, None, None]):
    """One language model with its tokeniser, its slots and its step loop."""

    cost_unit = "tokens"

    def __init__(self, model: LoadedModel, limits: GenerationLimits | None = None) -> None:
        self.limits = limits or GenerationLimits()
        self.placement = Placement(Place.THREAD, Place.ENGINE, Place.INLINE)
        description = read_description(model.folder, model.manifest)
        self._graph = LanguageGraph(model, description)
        self._begin = [] if description.begin_token is None else [description.begin_token]
        self._ends = description.end_tokens
        context = description.context_tokens
        self.context_tokens = min(context, self.limits.context_tokens) if self._graph.growing() else context
        self._tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.widths = find_widths(self._graph, self.limits.slots)
        self.gate = SlotGate(self.limits.slots, self.limits.maximum_waiting)
        self._loop = StepLoop(self._graph, self.limits.slots, self.widths, self.limits.stalled_seconds)
        # One prompt at a time: whoever is in the middle of a text waits for no more than one part of one prompt.
        self._prompts = asyncio.Lock()

    def place_of_prepare(self, request: Generation) -> Place:
        """Tokenise short prompts at once and long ones on a thread."""
        return Place.INLINE if len(request.prompt) <= _INLINE_CHARACTERS else Place.THREAD

    def prepare(self, request: Generation) -> Prepared[Turn]:
        """Tokenise the prompt; of a long one its end is kept, so that there is room for what was asked for, at most
        half of the context.
        """
        tokens = self._tokenizer.encode(request.prompt, add_special_tokens=False).ids
        room = self.context_tokens - len(self._begin)
        truncated = len(tokens) >= room
        if truncated:
            kept = max(1, room - min(request.maximum_tokens, self.context_tokens // 2))
            tokens = tokens[-kept:]
        tokens = [*self._begin, *tokens]
        if not tokens:
            raise InvalidRequest([FieldViolation("prompt", "holds nothing that the model can read")])
        return Prepared([], len(tokens), ReadPrompt(tokens, truncated))

    def run(self, batch: Turn) -> None:
        """Run the model once."""
        batch.run()

    def finish(self, prepared: Prepared[Turn], outputs: Sequence[None]) -> None:
        """Say nothing: a text is told while it is made."""

    async def generate(
        self, plane: DataPlane, model: ModelIdentity, asked: Generation, progress: Progress
    ) -> AsyncGenerator[Piece]:
        """Yield the pieces of a text; the last one has the finish reason. Whoever stops iterating frees the slot.

        Args:
            plane: engines, and where the work is counted.
            model: under which it is counted.
            asked: the checked request.
            progress: is filled in; whole once the last piece is out.

        Raises:
            ServiceError: too many wait, the deadline passed, or the reader was too slow.
        """
        call = current_request()
        lane = plane.lane_of(self, model)
        prepared = await plane.prepare(self, asked)
        prompt: ReadPrompt = prepared.state  # type: ignore[assignment]
        progress.prompt_tokens, progress.truncated = len(prompt.tokens), prompt.truncated
        reader = self._reader(asked, prompt.tokens, call.priority, lambda: self.gate.leave(time.monotonic() - entered))
        await self.gate.enter(call, lane)
        entered = time.monotonic()

        async def take_turn(turn: Turn, priority: Priority) -> Ticket[None]:
            return await plane.take_turn(self, turn, Size(turn.rows, turn.cost), priority)

        ended = False
        try:
            first_start = await self._read_prompt(reader, take_turn)
            if lane.metrics is not None:
                lane.metrics.waited(max(0.0, first_start - call.start))
            while not ended:
                piece = await reader.take()
                self._loop.wake()
                if piece.count and not progress.generated_tokens:
                    progress.first_token_seconds = time.monotonic() - call.start
                progress.generated_tokens += piece.count
                ended = piece.finish != pb.FINISH_REASON_UNSPECIFIED
                if ended:
                    progress.timings = Timings(
                        max(0, int((first_start - call.start) * 1e6)), max(1, int(reader.compute_seconds * 1e6))
                    )
                    if call.span is not None:
                        call.span.ran(model.name, model.version, 1, call.start, first_start, time.monotonic())
                yield piece
        except (asyncio.CancelledError, GeneratorExit):
            if not ended:
                late = call.deadline is not None and time.monotonic() >= call.deadline
                _count_drop(lane, "DEADLINE" if late else "CANCELLED")
            raise
        except ServiceError as error:
            _count_drop(lane, error.reason)
            raise
        finally:
            reader.leave()
            self._loop.wake()
            if reader.compute_seconds:
                tokens = min(reader.read, len(prompt.tokens)) + reader.generated
                plane.count_answer(self, call, tokens, reader.share_seconds, answered=ended)

    def _reader(
        self, asked: Generation, tokens: Sequence[int], priority: Priority, released: Callable[[], None]
    ) -> Reader:
        return Reader(
            asked,
            tokens,
            context=self.context_tokens,
            end_tokens=self._ends,
            tokenizer=self._tokenizer,
            vocabulary=self._graph.vocabulary,
            priority=priority,
            released=released,
        )

    async def _read_prompt(self, reader: Reader, take_turn: TakeTurn) -> float:
        """Read the prompt, part by part, and let the text join the others; returns when the first run began."""
        first_start = 0.0
        while reader.read < len(reader.prompt):
            async with self._prompts:
                ticket = await do_turn(take_turn, PromptTurn(self._graph, reader))
            first_start = first_start or ticket.first_start
        if not reader.ended:
            self._loop.join(reader, take_turn)
        return first_start


def _count_drop(lane: Lane, reason: str) -> None:
    if lane.metrics is not None:
        lane.metrics.dropped(reason)
