"""One text in the making, between the engine that makes it and the reader who gets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from marquee.text.v1 import generation_pb2 as pb
from services.runtime.request_context import Priority
from services.text.pipelines.generation.graph import States
from services.text.pipelines.generation.options import Generation
from services.text.pipelines.generation.sampling import Choice, Floats, Sampler
from services.text.pipelines.generation.text import Detokenizer, StopTexts, show_token

MOST_UNREAD = 64
"""Tokens that wait for a slow reader before its text pauses; those of one turn may come on top."""


@dataclass(slots=True)
class Piece:
    """What was added to a text since the last piece.

    Attributes:
        text: whole characters.
        tokens: the tokens, where the caller asked for them.
        count: number of tokens, told or not.
        finish: why the text ends; unspecified while it does not.
    """

    text: str = ""
    tokens: list[pb.GeneratedToken] = field(default_factory=list)
    count: int = 0
    finish: pb.FinishReason.ValueType = pb.FINISH_REASON_UNSPECIFIED


class Reader:
    """One text. While a turn runs it belongs to the engine, otherwise to the event loop.

    Args:
        asked: the checked request.
        prompt: token ids to read, 1 or more.
        context: most tokens of prompt and text together.
        end_tokens: tokens that end the text.
        tokenizer: of the model.
        vocabulary: its number of tokens.
        priority: how urgent the call is.
        released: called once, on the event loop, when no further step is wanted.

    Attributes:
        states: what the tokens read so far left, while the text has no row of a table.
        read: tokens of which the states know.
        generated: tokens made so far, an end token not counted.
        finish: why the text has ended; unspecified before.
        gone: whether nobody reads any more.
        compute_seconds: sum over its runs, each counted whole.
        share_seconds: the same, of shared runs only its part.
    """

    def __init__(
        self,
        asked: Generation,
        prompt: Sequence[int],
        *,
        context: int,
        end_tokens: Sequence[int],
        tokenizer: Tokenizer,
        vocabulary: int,
        priority: Priority = Priority.NORMAL,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        self.prompt = prompt
        self.priority = priority
        self.states: States = ()
        self.read = 0
        self.newest = 0
        self.generated = 0
        self.finish: pb.FinishReason.ValueType = pb.FINISH_REASON_UNSPECIFIED
        self.gone = False
        self.compute_seconds = 0.0
        self.share_seconds = 0.0
        self._asked = asked
        self._context = context
        self._ends = frozenset(end_tokens)
        self._tokenizer = tokenizer
        self._sampler = Sampler(asked.sampling, asked.seed, prompt, vocabulary)
        self._detokenizer = Detokenizer(tokenizer)
        self._stops = StopTexts(asked.stops)
        self._tells_tokens = asked.sampling.log_probabilities or asked.sampling.alternatives > 0
        self._fresh: list[Piece] = []
        self._ready: list[Piece] = []
        self._unread = 0
        self._news = asyncio.Event()
        self._failure: BaseException | None = None
        self._released: Callable[[], None] | None = released
        self._paused_at = 0.0

    @property
    def paused(self) -> bool:
        """Whether so much waits for the reader that nothing more is made."""
        return self._unread >= MOST_UNREAD

    def stalled_for(self, now: float) -> float:
        """Return the seconds that the text has waited for its reader; `now` is a moment on the monotonic clock."""
        return now - self._paused_at if self.paused and not self.ended else 0.0

    @property
    def ended(self) -> bool:
        """Whether no further step is wanted."""
        return self.gone or self.finish != pb.FINISH_REASON_UNSPECIFIED or self._failure is not None

    def advance(self, logits: Floats) -> None:
        """Choose the next token by the logits float32[V], on the engine."""
        choice = self._sampler.choose(logits)
        self.newest = choice.token
        if choice.token in self._ends:
            self._end(pb.FINISH_REASON_END_OF_TEXT)
            return
        self.generated += 1
        told = self._stops.add(self._detokenizer.add(choice.token))
        self._fresh.append(Piece(told, [self._describe(choice)] if self._tells_tokens else [], 1))
        if self._stops.found:
            self._end(pb.FINISH_REASON_STOP_TEXT)
        elif self.generated >= self._asked.maximum_tokens:
            self._end(pb.FINISH_REASON_MAX_TOKENS)
        elif len(self.prompt) + self.generated >= self._context:
            self._end(pb.FINISH_REASON_CONTEXT_FULL)

    def take_fresh(self) -> Sequence[Piece]:
        """Return what was made since the last time: on the engine, or on the event loop when no turn runs."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def publish(self, fresh: Sequence[Piece]) -> None:
        """Hand what was made to the reader, on the event loop."""
        self._ready += fresh
        self._unread += sum(piece.count for piece in fresh)
        self._paused_at = time.monotonic()
        self._news.set()
        self._release()

    def fail(self, error: BaseException) -> None:
        """End the text with an error, on the event loop."""
        self._failure = error
        self._news.set()
        self._release()

    def leave(self) -> None:
        """Stop the work: nobody reads any more."""
        self.gone = True
        self._release()

    async def take(self) -> Piece:
        """Wait for news and return all there is as one piece; raises what the text failed with."""
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        ready, self._ready = self._ready, []
        self._unread = 0
        if len(ready) == 1:
            return ready[0]
        return Piece(
            "".join(piece.text for piece in ready),
            [token for piece in ready for token in piece.tokens],
            sum(piece.count for piece in ready),
            ready[-1].finish,
        )

    def _release(self) -> None:
        if self.ended and self._released is not None:
            released, self._released = self._released, None
            released()

    def _end(self, reason: pb.FinishReason.ValueType) -> None:
        self.finish = reason
        self._fresh.append(Piece(self._stops.flush(), finish=reason))

    def _describe(self, choice: Choice) -> pb.GeneratedToken:
        return pb.GeneratedToken(
            text=show_token(self._tokenizer, choice.token),
            log_probability=choice.log_probability,
            alternatives=[
                pb.TokenAlternative(text=show_token(self._tokenizer, token), log_probability=value)
                for token, value in choice.alternatives
            ],
        )
