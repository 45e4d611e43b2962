"""Ranking: score the candidates with every scorer, make features, run the bundle's ranker, trace its decision to the
history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from marquee.classical.v1 import classical_service_pb2 as pb
from services.classical.features import history_contributions, history_shares, ranker_features
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
    """How many of the best candidates to explain, how many history items to name for each, how many to return."""

    candidates: int
    contributions: int
    results: int


@dataclass(frozen=True)
class RankingBatch:
    """One user's candidates: int64[C] rows, by which ranker, and how much of the ranking to explain."""

    bundle: LoadedBundle
    ranker: str
    history: History
    rows: Rows
    wanted: Explained


@dataclass(frozen=True)
class Ranking:
    """What the ranker said; candidates best first, the E best of them explained by N items of the history each.

    Attributes:
        rows: int64[C].
        probabilities: float32[C].
        linear_scores: float32[C], sum of a candidate's feature contributions: the logit without the ranker's intercept.
        feature_contributions: float32[E, F].
        history_totals: float32[E], sum of what speaks for the candidate.
        history_rows: int64[E, N], items of the history, strongest first.
        history_contributions: float32[E, N].
    """

    rows: Rows
    probabilities: Floats
    linear_scores: Floats
    feature_contributions: Floats
    history_totals: Floats
    history_rows: Rows
    history_contributions: Floats


@dataclass(frozen=True)
class RankedList:
    """Candidates, best first, and the name of the ranker that ordered them."""

    ranker: str
    candidates: list[pb.RankedCandidate]


class RankingPipeline(Pipeline[pb.RankCandidatesRequest, RankingBatch, Ranking, RankedList]):
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
        results = check.size(
            "result_count", request.result_count, default=MAXIMUM_CANDIDATES, maximum=MAXIMUM_CANDIDATES
        )
        check.raise_if_any()
        bundle = self._bundles.serving(tenant, request.bundle_version)
        if not bundle.rankers:
            raise FailedPrecondition(
                "BUNDLE_WITHOUT_RANKER", f"bundle {request.bundle_version} has no ranker; train a bundle that has one"
            )
        name = request.ranker or next(iter(bundle.rankers))
        if name not in bundle.rankers:
            raise FailedPrecondition(
                "RANKER_UNKNOWN",
                f"bundle {request.bundle_version} has no ranker {request.ranker[:64]!r}; it has "
                + ", ".join(bundle.rankers),
            )
        rows = [bundle.rows[item_id] for item_id in request.item_ids if item_id in bundle.rows]
        history = known_history(bundle, request.history)
        batch = RankingBatch(
            bundle, name, history, numpy.array(rows, numpy.int64), Explained(explained, named, results)
        )
        return Prepared([batch], cost=len(rows))

    def run(self, batch: RankingBatch) -> Ranking:
        """Score and rank."""
        bundle, ranker = batch.bundle, batch.bundle.rankers[batch.ranker]
        if bundle.manifest.ranker is None:
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
        linear_scores = feature_contributions.sum(axis=1)
        order = numpy.argsort(-linear_scores, kind="stable")[: batch.wanted.results]
        explained = order[: batch.wanted.candidates]
        by_scorer = {name: attribution.contributions[:, explained] for name, attribution in found.items()}
        if "weights" in outputs:
            weights = outputs["weights"].astype(numpy.float32)
            contributions = history_contributions(names, weights, by_scorer, statistics)
        else:
            contributions = history_shares(names, feature_contributions[explained], by_scorer)
        # Several events of one item speak with one voice.
        items, places = numpy.unique(batch.history.rows, return_inverse=True)
        by_item = numpy.zeros((len(items), len(explained)), numpy.float32)
        numpy.add.at(by_item, places, contributions)
        strongest = numpy.argsort(-by_item, axis=0, kind="stable")[: batch.wanted.contributions]
        return Ranking(
            batch.rows[order],
            outputs["probability"].astype(numpy.float32).reshape(-1)[order],
            linear_scores[order],
            feature_contributions[explained],
            numpy.maximum(by_item, 0).sum(axis=0),
            items[strongest].T,
            numpy.take_along_axis(by_item, strongest, axis=0).T,
        )

    def finish(self, prepared: Prepared[RankingBatch], outputs: Sequence[Ranking]) -> RankedList:
        """Spell out the candidates, best first, and what decided about the best."""
        batch, ranking = prepared.batches[0], outputs[0]
        if batch.bundle.manifest.ranker is None:
            raise TypeError("a bundle without a ranker got past prepare")
        item_ids = batch.bundle.item_ids
        ranked = [
            pb.RankedCandidate(item_id=item_ids[row], score=score, linear_score=linear_score)
            for row, score, linear_score in zip(
                ranking.rows.tolist(), ranking.probabilities.tolist(), ranking.linear_scores.tolist(), strict=True
            )
        ]
        # Messages are built one by one in Python, so only what somebody may see is spelled out.
        _explain(ranked, batch.bundle.manifest.ranker.features, item_ids, ranking)
        return RankedList(batch.ranker, ranked)


def _explain(
    candidates: Sequence[pb.RankedCandidate], features: Sequence[str], item_ids: Sequence[str], ranking: Ranking
) -> None:
    """Fill in what decided about each of the best candidates."""
    rows = zip(
        candidates,
        ranking.feature_contributions.tolist(),
        ranking.history_totals.tolist(),
        ranking.history_rows.tolist(),
        ranking.history_contributions.tolist(),
        strict=False,
    )
    for candidate, contributions, total, history_rows, amounts in rows:
        candidate.positive_history_total = total
        for feature, amount in zip(features, contributions, strict=True):
            candidate.features.add(feature=feature, contribution=amount)
        for row, amount in zip(history_rows, amounts, strict=True):
            if amount > 0:
                candidate.history.add(item_id=item_ids[row], contribution=amount)


def _statistics(attribution: Attribution) -> Floats:
    return numpy.array([attribution.mean, attribution.deviation], numpy.float32)
