"""Recommends from a bundle folder the way the services do, without servers: for evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from services.classical.features import SMALLEST_DEVIATION, ranker_features
from services.classical.training.candidate_lists import candidate_rows
from services.classical.training.dataset import Floats, Integers, Interactions
from services.classical.training.evaluation import Ranks, rank_of_target
from services.classical.training.histories import Positions
from services.classical.training.parity import ScorerSession, open_session


class OfflineRecommender:
    """The scorers and the ranker of a bundle, on ONNX Runtime.

    Args:
        folder: `<root>/<tenant>/<version>`.
        candidates_per_scorer: Best items of each scorer, and most popular items, that the ranker orders.
    """

    def __init__(self, folder: Path, candidates_per_scorer: int = 100) -> None:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.scorers = {scorer["name"]: ScorerSession(str(folder / scorer["file"])) for scorer in manifest["scorers"]}
        self.item_ids = tuple((folder / manifest["items"]).read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        self.watermark = int(manifest["event_watermark"])
        self._features = manifest["ranker"]["features"]
        self.rankers = {one["name"]: open_session(str(folder / one["file"])) for one in manifest["rankers"]}
        self.default_ranker = manifest["ranker"]["name"]
        with np.load(folder / manifest["statistics"]) as statistics:
            self._popularity: Floats = statistics["popularity"]
        self._count = candidates_per_scorer

    def score(self, history: Integers, weights: Floats) -> tuple[dict[str, Floats], Integers, dict[str, Floats]]:
        """Scores for one history, oldest first.

        Returns:
            Scorer name to raw scores float32[N]; candidate rows int64[C]; ranker name to their logits float32[C].
        """
        everything = np.arange(len(self._popularity))
        raw, statistics = {}, {}
        for name, session in self.scorers.items():
            outputs = session.run(history, weights, history, self._count, everything, len(everything))
            raw[name], statistics[name] = outputs["candidate_scores"], outputs["statistics"]
        useful = [scores for name, scores in raw.items() if statistics[name][1] > SMALLEST_DEVIATION]
        rows = candidate_rows(useful, self._popularity, history, self._count)
        features = ranker_features(
            self._features,
            {name: scores[rows] for name, scores in raw.items()},
            statistics,
            self._popularity[rows],
            len(history),
        )
        logits = {name: ranker.run(["logit"], {"features": features})[0] for name, ranker in self.rankers.items()}
        return raw, rows, logits


def target_ranks(recommender: OfflineRecommender, interactions: Interactions, positions: Positions) -> dict[str, Ranks]:
    """Ranks the event at each position's end among all unseen items: to float64[P], by name of scorer and ranker, and
    `ranker` for the default one.

    What the ranker was not given as a candidate has infinite rank.

    Raises:
        ValueError: An item to predict was seen before; no system may show it again.
    """
    ranks: dict[str, list[float]] = {name: [] for name in (*recommender.scorers, *recommender.rankers)}
    for start, end in zip(positions.starts, positions.ends, strict=True):
        history, target = interactions.items[start:end], int(interactions.items[end])
        if target in history:
            raise ValueError(f"item {interactions.item_ids[target]!r} is to be predicted but was seen before")
        raw, rows, logits = recommender.score(history, interactions.weights[start:end])
        for name, scores in raw.items():
            ranks[name].append(rank_of_target(scores, target, history))
        found = np.flatnonzero(rows == target)
        nobody = np.zeros(0, np.int64)
        for name, values in logits.items():
            ranks[name].append(rank_of_target(values, int(found[0]), nobody) if len(found) else np.inf)
    ranks["ranker"] = ranks[recommender.default_ranker]
    return {name: np.array(values) for name, values in ranks.items()}
