"""Candidate generation, the same in every family: a history and a filter in, the best items of each scorer out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

from marquee.common.v1 import candidate_pb2, report_pb2
from services.runtime.bundles.repository import BundleRepository, LoadedBundle
from services.runtime.bundles.scorer import NO_ROWS, History, Rows, ScoredCandidates, Scorer
from services.runtime.data_plane import DataPlane
from services.runtime.pipeline import Pipeline, Prepared
from services.runtime.validation import Violations

MAXIMUM_HISTORY = 1_000
MAXIMUM_EXCLUDED = 10_000
DEFAULT_CANDIDATES = 100
MAXIMUM_CANDIDATES = 1_000
LARGEST_WEIGHT = 10.0
MAXIMUM_SCORERS = 100


@dataclass(frozen=True)
class CandidateBatch:
    """All scorers of one request; they share one engine run because each takes only microseconds."""

    scorers: Sequence[Scorer]
    history: History
    excluded: Rows
    allowed: numpy.typing.NDArray[numpy.bool_] | None
    count: int


class CandidatePipeline(
    Pipeline[candidate_pb2.CandidateQuery, CandidateBatch, list[ScoredCandidates], candidate_pb2.CandidateSet]
):
    """Runs the scorers that one service serves from a bundle."""

    def __init__(self, bundles: BundleRepository) -> None:
        self._bundles = bundles

    def prepare(self, request: candidate_pb2.CandidateQuery) -> Prepared[CandidateBatch]:
        """Check the query and look its items up in the bundle's vocabulary."""
        check = Violations()
        tenant = check.tenant("query.tenant", request.tenant)
        check.version("query.bundle_version", request.bundle_version)
        check_history(check, "query.history", request.history)
        if check.count("query.scorers", request.scorers, maximum=MAXIMUM_SCORERS):
            check.unique("query.scorers", request.scorers)
        check.count("query.excluded_item_ids", request.excluded_item_ids, maximum=MAXIMUM_EXCLUDED)
        count = check.size(
            "query.candidates_per_scorer",
            request.candidates_per_scorer,
            default=DEFAULT_CANDIDATES,
            maximum=MAXIMUM_CANDIDATES,
        )
        check.raise_if_any()
        bundle = self._bundles.serving(tenant, request.bundle_version)
        scorers = _choose_scorers(check, bundle, request.scorers)
        allowed = _unpack_allowed(check, request.allowed_items, len(bundle.item_ids))
        check.raise_if_any()
        excluded = [bundle.rows[item_id] for item_id in request.excluded_item_ids if item_id in bundle.rows]
        batch = CandidateBatch(
            scorers,
            known_history(bundle, request.history),
            numpy.array(excluded, numpy.int64) if excluded else NO_ROWS,
            allowed,
            count,
        )
        return Prepared([batch], cost=len(request.history), state=bundle)

    def run(self, batch: CandidateBatch) -> list[ScoredCandidates]:
        """Score the catalogue with each scorer."""
        return [scorer.top(batch.history, batch.excluded, batch.allowed, batch.count) for scorer in batch.scorers]

    def finish(
        self, prepared: Prepared[CandidateBatch], outputs: Sequence[list[ScoredCandidates]]
    ) -> candidate_pb2.CandidateSet:
        """Turn rows back into item ids."""
        bundle = prepared.state
        if not isinstance(bundle, LoadedBundle):
            raise TypeError("the state of candidate generation is a bundle")
        batch = prepared.batches[0]
        reply = candidate_pb2.CandidateSet(known_history_count=len(batch.history.rows))
        for scorer, found in zip(batch.scorers, outputs[0], strict=True):
            reply.scorers.add(
                scorer=scorer.name,
                item_ids=[bundle.item_ids[row] for row in found.rows.tolist()],
                scores=found.scores.tolist(),
            )
        return reply


async def generate_candidates(
    plane: DataPlane, pipeline: CandidatePipeline, query: candidate_pb2.CandidateQuery
) -> candidate_pb2.CandidateSet:
    """Answer one query, with the report of what answered."""
    reply, timings = await plane.infer(pipeline, query)
    reply.report.CopyFrom(
        report_pb2.ModelReport(
            model="+".join(found.scorer for found in reply.scorers),
            version=query.bundle_version,
            queue_microseconds=timings.queue_microseconds,
            compute_microseconds=timings.compute_microseconds,
        )
    )
    return reply


def check_history(check: Violations, field: str, history: Sequence[candidate_pb2.HistoryItem]) -> None:
    """Check the number of events and each weight."""
    if check.count(field, history, maximum=MAXIMUM_HISTORY):
        for index, event in enumerate(history):
            check.within(f"{field}[{index}].weight", event.weight, -LARGEST_WEIGHT, LARGEST_WEIGHT)


def known_history(bundle: LoadedBundle, history: Sequence[candidate_pb2.HistoryItem]) -> History:
    """Return the events whose items the bundle knows, in their order."""
    known = [(bundle.rows[event.item_id], event.weight) for event in history if event.item_id in bundle.rows]
    return History(
        numpy.array([row for row, _ in known], numpy.int64),
        numpy.array([weight for _, weight in known], numpy.float32),
    )


def _choose_scorers(check: Violations, bundle: LoadedBundle, names: Sequence[str]) -> list[Scorer]:
    if not names:
        return list(bundle.scorers.values())
    chosen = []
    for index, name in enumerate(names):
        scorer = bundle.scorers.get(name)
        if scorer is None:
            known = ", ".join(bundle.scorers) or "none"
            check.add(
                f"query.scorers[{index}]",
                f"names no scorer of this service: {name[:80]!r}; there are: {known}",
            )
        else:
            chosen.append(scorer)
    return chosen


def _unpack_allowed(check: Violations, packed: bytes, item_count: int) -> numpy.typing.NDArray[numpy.bool_] | None:
    if not packed:
        return None
    expected = (item_count + 7) // 8
    if len(packed) != expected:
        check.add(
            "query.allowed_items",
            f"has {len(packed):,} bytes; a bundle of {item_count:,} items needs {expected:,}",
        )
        return None
    return numpy.unpackbits(numpy.frombuffer(packed, numpy.uint8), count=item_count, bitorder="little").astype(
        numpy.bool_
    )
