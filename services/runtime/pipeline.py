"""The model interface: what one task does with a request. Pipelines know nothing of health, deadlines, threads or
logs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from services.runtime.batching.lane import Lane

RequestT = TypeVar("RequestT")
BatchT = TypeVar("BatchT")
OutputT = TypeVar("OutputT")
ReplyT = TypeVar("ReplyT")


class Place(StrEnum):
    """Where a stage of a pipeline executes."""

    INLINE = "inline"
    """On the event loop: for work of microseconds that a thread hop would only slow down."""
    THREAD = "thread"
    """On the preparation threads: for work that would block the loop, such as tokenising a long text."""
    ENGINE = "engine"
    """On an engine, of which there are as many as cores. A request that is prepared there is run there without another
    hop: for pictures, whose decoding takes as long as a small model."""


@dataclass(frozen=True)
class Placement:
    """Where each stage executes; chosen by measurement and written in `model.yaml`."""

    prepare: Place = Place.INLINE
    run: Place = Place.ENGINE
    finish: Place = Place.INLINE


@dataclass(frozen=True, slots=True)
class Size:
    """How much of a run one batch of a request takes.

    Attributes:
        rows: rows of the batch, counted against `Pipeline.max_batch`.
        cost: work in the model's cost unit, padding included, counted against `Pipeline.max_cost`.
        bucket: only batches of equal bucket share a run: a class of lengths, or the shapes beyond the batch axis.
    """

    rows: int = 1
    cost: int = 1
    bucket: Hashable = None


@dataclass(frozen=True, slots=True)
class Prepared(Generic[BatchT]):
    """What `prepare` made of a request.

    Attributes:
        batches: inputs of the model runs this request needs; they may run at the same time.
        cost: amount of work in the unit of the model's `batching.cost_unit` (tokens, pixels, rows).
        state: whatever `finish` needs to put the answer together.
        sizes: size of each batch; empty when the pipeline's runs are never shared.
    """

    batches: Sequence[BatchT]
    cost: int
    state: object = None
    sizes: Sequence[Size] = ()


class Pipeline(ABC, Generic[RequestT, BatchT, OutputT, ReplyT]):
    """One task of one model: prepare → run → finish.

    An answer never depends on what else runs: `run` must give the same output for a batch whatever ran before or
    beside it, and for a pipeline with `max_batch` above 1 `split(run(join(batches)))` must equal the outputs of the
    batches run alone.

    Attributes:
        placement: where each stage executes.
        max_batch: rows of one run that requests may share; 1 when runs are never shared.
        max_cost: cost of one shared run; None without a limit.
        cost_unit: unit of `Prepared.cost`, for usage: "tokens", "pixels", "rows" or "items".
        lane: what the data plane has learned about the pipeline; belongs to the data plane.
    """

    placement: Placement = Placement()
    max_batch: int = 1
    max_cost: int | None = None
    cost_unit: str = "rows"
    lane: Lane | None = None

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

    def join(self, batches: Sequence[BatchT]) -> BatchT:
        """Put batches of equal bucket, of any requests, into one run."""
        raise NotImplementedError(f"{type(self).__name__} shares no runs")

    def split(self, output: OutputT, batches: Sequence[BatchT]) -> Sequence[OutputT]:
        """Return the part of a shared run's output that belongs to each batch, in their order."""
        raise NotImplementedError(f"{type(self).__name__} shares no runs")

    def warmup(self) -> None:
        """Run real samples once so that the first caller does not pay for lazy set-up. The loader runs the golden
        samples already.
        """
        return
