"""Ranking: score the candidates with every scorer, make features, run the bundle's ranker, trace its decision to the
history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from marquee.classical.v1 import classical_service_pb2 as pb
from services.classical.features import history_contributions, ranker_features
from services.runtime.bundles.candidates import check_history, known_history
from services.runtime.bundles.repository import BundleRepository, LoadedBundle
from services.runtime.bundles.scorer import Attribution, Floats, History, Rows
from services.runtime.errors import FailedPrecondition
from services.runtime.pipeline import Pipeline, Prepared
from services.runtime.validation import Violations

MAXIMUM_CANDIDATES = 2_000
DEFAULT_CONTRIBUTIONS = 3
MAXIMUM_CONTRIBUTIONS = 10
DEFAULT_EXPLAINED = 50


@dataclass(frozen=True)
class Explained:
    """How many of the best candidates to explain, and how many history items to name for each."""

    candidates: int
    contributions: int


@dataclass(frozen=True)
class RankingBatch:
    """One user's candidates: int64[C] rows."""

    bundle: LoadedBundle
    history: History
    rows: Rows


@dataclass(frozen=True)
class Ranking:
    """What the ranker said.

    Attributes:
        probabilities: float32[C].
        linear_scores: float32[C], the probabilities' logits.
        feature_contributions: float32[C, F].
        history_contributions: float32[H, C].
    """

    probabilities: Floats
    linear_scores: Floats
    feature_contributions: Floats
    history_contributions: Floats


class RankingPipeline(Pipeline[pb.RankCandidatesRequest, RankingBatch, Ranking, list[pb.RankedCandidate]]):
    """Ranks with the ranker of the bundle that the request names."""

    def __init__(self, bundles: BundleRepository) -> None:
        self._bundles = bundles

    def prepare(self, request: pb.RankCandidatesRequest) -> Prepared[RankingBatch]:
        """Check the request and look its items up in the bundle's vocabulary."""
        check = Violations()
        tenant = check.tenant("tenant", request.tenant)
        check.version("bundle_version", request.bundle_version)
        check_history(check, "history", request.history)
        if check.count("item_ids", request.item_ids, minimum=1, maximum=MAXIMUM_CANDIDATES):
            check.unique("item_ids", request.item_ids)
        named = check.size(
            "contribution_count",
            request.contribution_count,
            default=DEFAULT_CONTRIBUTIONS,
            maximum=MAXIMUM_CONTRIBUTIONS,
        )
        explained = check.size(
            "explained_count", request.explained_count, default=DEFAULT_EXPLAINED, maximum=MAXIMUM_CANDIDATES
        )
        check.raise_if_any()
        bundle = self._bundles.serving(tenant, request.bundle_version)
        if bundle.ranker is None:
            raise FailedPrecondition(
                "BUNDLE_WITHOUT_RANKER", f"bundle {request.bundle_version} has no ranker; train a bundle that has one"
            )
        rows = [bundle.rows[item_id] for item_id in request.item_ids if item_id in bundle.rows]
        batch = RankingBatch(bundle, known_history(bundle, request.history), numpy.array(rows, numpy.int64))
        return Prepared([batch], cost=len(rows), state=Explained(explained, named))

    def run(self, batch: RankingBatch) -> Ranking:
        """Score and rank."""
        bundle, ranker = batch.bundle, batch.bundle.ranker
        if ranker is None or bundle.manifest.ranker is None:
            raise TypeError("a bundle without a ranker got past prepare")
        names = bundle.manifest.ranker.features
        found = {name: scorer.attribute(batch.history, batch.rows) for name, scorer in bundle.ranked_scorers.items()}
        statistics = {name: _statistics(attribution) for name, attribution in found.items()}
        features = ranker_features(
            names,
            {name: attribution.candidate_scores for name, attribution in found.items()},
            statistics,
            bundle.popularity[batch.rows],
            len(batch.history.rows),
        )
        outputs = ranker.run({"features": features})
        feature_contributions = outputs["contributions"].astype(numpy.float32)
        return Ranking(
            outputs["probability"].astype(numpy.float32).reshape(-1),
            feature_contributions.sum(axis=1),
            feature_contributions,
            history_contributions(
                names,
                outputs["weights"].astype(numpy.float32),
                {name: attribution.contributions for name, attribution in found.items()},
                statistics,
            ),
        )

    def finish(self, prepared: Prepared[RankingBatch], outputs: Sequence[Ranking]) -> list[pb.RankedCandidate]:
        """Order the candidates, best first, and name what decided."""
        batch, ranking = prepared.batches[0], outputs[0]
        wanted = prepared.state
        if not isinstance(wanted, Explained) or batch.bundle.manifest.ranker is None:
            raise TypeError("the state of ranking says how much to explain")
        order = numpy.argsort(-ranking.linear_scores, kind="stable")
        item_ids, rows = batch.bundle.item_ids, batch.rows[order].tolist()
        scores, linear_scores = ranking.probabilities[order].tolist(), ranking.linear_scores[order].tolist()
        ranked = [
            pb.RankedCandidate(item_id=item_ids[row], score=score, linear_score=linear_score)
            for row, score, linear_score in zip(rows, scores, linear_scores, strict=True)
        ]
        # Messages are built one by one in Python, so only what somebody may see is spelled out.
        _explain(ranked[: wanted.candidates], order[: wanted.candidates], batch, ranking, wanted.contributions)
        return ranked


def _explain(
    candidates: Sequence[pb.RankedCandidate], columns: Rows, batch: RankingBatch, ranking: Ranking, named: int
) -> None:
    """Fill in what decided about each candidate; `columns` int64[E] are their places in the arrays of `ranking`."""
    features = batch.bundle.manifest.ranker.features if batch.bundle.manifest.ranker else []
    # Several events of one item speak with one voice.
    items, places = numpy.unique(batch.history.rows, return_inverse=True)
    by_item = numpy.zeros((len(items), len(columns)), numpy.float32)
    numpy.add.at(by_item, places, ranking.history_contributions[:, columns])
    totals = numpy.maximum(by_item, 0).sum(axis=0).tolist()
    strongest = numpy.argsort(-by_item, axis=0, kind="stable")[:named]
    amounts = numpy.take_along_axis(by_item, strongest, axis=0).T.tolist()
    names = [[batch.bundle.item_ids[row] for row in column] for column in items[strongest].T.tolist()]
    contributions = ranking.feature_contributions[columns].tolist()
    for number, candidate in enumerate(candidates):
        candidate.positive_history_total = totals[number]
        for feature, amount in zip(features, contributions[number], strict=True):
            candidate.features.add(feature=feature, contribution=amount)
        for item_id, amount in zip(names[number], amounts[number], strict=True):
            if amount > 0:
                candidate.history.add(item_id=item_id, contribution=amount)


def _statistics(attribution: Attribution) -> Floats:
    return numpy.array([attribution.mean, attribution.deviation], numpy.float32)
