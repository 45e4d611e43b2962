"""The model interface: what one task does with a request. Pipelines know nothing of health, deadlines, threads or
logs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
BatchT = TypeVar("BatchT")
OutputT = TypeVar("OutputT")
ReplyT = TypeVar("ReplyT")


class Place(StrEnum):
    """Where a stage of a pipeline executes."""

    INLINE = "inline"
    """On the event loop: for work of microseconds that a thread hop would only slow down."""
    THREAD = "thread"
    """On the preparation threads: for work that would block the loop, such as decoding a picture."""
    ENGINE = "engine"
    """On an engine, of which there are as many as cores."""


@dataclass(frozen=True)
class Placement:
    """Where each stage executes; chosen by measurement and written in `model.yaml`."""

    prepare: Place = Place.INLINE
    run: Place = Place.ENGINE
    finish: Place = Place.INLINE


@dataclass(frozen=True)
class Prepared(Generic[BatchT]):
    """What `prepare` made of a request.

    Attributes:
        batches: inputs of the model runs this request needs; they may run at the same time.
        cost: amount of work in the unit of the model's `batching.cost_unit` (tokens, pixels, rows).
        state: whatever `finish` needs to put the answer together.
    """

    batches: Sequence[BatchT]
    cost: int
    state: object = None


class Pipeline(ABC, Generic[RequestT, BatchT, OutputT, ReplyT]):
    """One task of one model: prepare → run → finish.

    An answer never depends on what else runs: `run` must give the same output for a batch whatever ran before or
    beside it.
    """

    placement: Placement = Placement()

    def place_of_prepare(self, request: RequestT) -> Place:
        """Return where to prepare this request; a pipeline whose requests differ much in size may move the large ones
        off the loop.
        """
        return self.placement.prepare

    @abstractmethod
    def prepare(self, request: RequestT) -> Prepared[BatchT]:
        """Check the request and turn it into model inputs; raises `ServiceError` for bad input."""

    @abstractmethod
    def run(self, batch: BatchT) -> OutputT:
        """Run the model once."""

    @abstractmethod
    def finish(self, prepared: Prepared[BatchT], outputs: Sequence[OutputT]) -> ReplyT:
        """Turn the outputs, in the order of `prepared.batches`, into the reply."""

    def warmup(self) -> None:
        """Run real samples once so that the first caller does not pay for lazy set-up. The loader runs the golden
        samples already.
        """
        return
