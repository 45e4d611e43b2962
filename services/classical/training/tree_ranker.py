"""Rankers of many trees: random forest and gradient boosting over the candidates' features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from services.classical.training.candidate_lists import CandidateLists
from services.classical.training.dataset import Floats, Integers
from services.classical.training.decision_trees import DecisionTree, read_tree, tree_attributes
from services.classical.training.linear_ranker import calibrate
from services.classical.training.options import RankerOptions
from services.runtime.training.graph_builder import GraphBuilder, tensor

_CALIBRATION_SHARE = 0.2
_SMALLEST_LEAF = 20


@dataclass(frozen=True)
class TreeRanker:
    """A sum over trees, made a probability by Platt scaling.

    Attributes:
        name: "forest" or "boosted".
        algorithm: In one line, for the manifest.
        names: Feature names in column order.
        trees: The trees; their contributions are in units of the logit.
        intercept: Logit of a candidate about whom the trees say nothing.
        lists: Candidate lists it was fitted on.
    """

    name: str
    algorithm: str
    names: tuple[str, ...]
    trees: tuple[DecisionTree, ...]
    intercept: float
    lists: int

    def contributions(self, features: Floats) -> Floats:
        """float32[C, F]: what each feature adds to the logit."""
        total = np.zeros((len(features), len(self.names)), np.float32)
        for tree in self.trees:
            total += tree.contributions[tree.leaves(features)]
        return total

    def logits(self, features: Floats) -> Floats:
        """float32[C]."""
        total: Floats = self.contributions(features).sum(axis=1) + np.float32(self.intercept)
        return total

    def graph(self) -> onnx.ModelProto:
        """Writes the trees as one operator whose targets are the features' contributions.

        Inputs and outputs are those of the linear ranker's graph but for `weights`, which trees do not have.
        """
        builder = GraphBuilder()
        builder.node(
            "TreeEnsembleRegressor", "contributions", "features", domain="ai.onnx.ml", **tree_attributes(self.trees)
        )
        total = builder.node("ReduceSum", "total", "contributions", builder.constant("axis_1", [1]), keepdims=0)
        intercept = builder.constant("intercept_constant", np.array([self.intercept], np.float32))
        logit = builder.node("Add", "logit", total, intercept)
        builder.node("Sigmoid", "probability", logit)
        builder.node("Identity", "intercept", intercept)
        width = len(self.names)
        return builder.model(
            f"{self.name}_ranker",
            [tensor("features", TensorProto.FLOAT, ["C", width])],
            [
                tensor("probability", TensorProto.FLOAT, ["C"]),
                tensor("logit", TensorProto.FLOAT, ["C"]),
                tensor("contributions", TensorProto.FLOAT, ["C", width]),
                tensor("intercept", TensorProto.FLOAT, [1]),
            ],
        )


def fit_forest(lists: CandidateLists, options: RankerOptions, seed: int) -> TreeRanker | None:
    """Fits a random forest (L. Breiman, "Random Forests", Machine Learning 45, 2001); None without a list to learn
    from.
    """
    fit_part, rest = _parts(lists, seed)
    rows, chosen = _sample(lists, fit_part, options, seed)
    if not _fittable(chosen):
        return None
    model = RandomForestClassifier(
        options.trees,
        max_leaf_nodes=options.leaves,
        min_samples_leaf=min(_SMALLEST_LEAF, max(1, len(rows) // 20)),
        max_features=0.4,
        random_state=seed,
    ).fit(lists.features[rows], chosen)
    positive = list(model.classes_).index(1)
    width = len(lists.names)
    read = [read_tree(one.tree_, one.tree_.value[:, 0, positive] / options.trees, width) for one in model.estimators_]
    ranker = TreeRanker("forest", "random forest over candidates", lists.names, _trees(read), 0.0, len(fit_part))
    return _calibrated(ranker, lists, rest, options)


def fit_boosted(lists: CandidateLists, options: RankerOptions, seed: int) -> TreeRanker | None:
    """Fits gradient boosting (J. Friedman, "Greedy function approximation", Annals of Statistics 29, 2001); None
    without a list to learn from.
    """
    fit_part, rest = _parts(lists, seed)
    rows, chosen = _sample(lists, fit_part, options, seed)
    if not _fittable(chosen):
        return None
    model = GradientBoostingClassifier(
        n_estimators=options.trees,
        learning_rate=0.08,
        max_depth=4,
        min_samples_leaf=min(_SMALLEST_LEAF, max(1, len(rows) // 20)),
        subsample=0.5,
        random_state=seed,
    ).fit(lists.features[rows], chosen)
    width = len(lists.names)
    read = [
        read_tree(one.tree_, one.tree_.value[:, 0, 0] * model.learning_rate, width) for one in model.estimators_[:, 0]
    ]
    ranker = TreeRanker("boosted", "gradient-boosted trees", lists.names, _trees(read), 0.0, len(fit_part))
    return _calibrated(ranker, lists, rest, options)


def _trees(read: Sequence[tuple[DecisionTree, float]]) -> tuple[DecisionTree, ...]:
    return tuple(tree for tree, _ in read)


def _parts(lists: CandidateLists, seed: int) -> tuple[Integers, Integers]:
    """Lists that hold their next item, divided: to fit on, and to calibrate on what the trees have not seen."""
    usable = np.flatnonzero(lists.targets >= 0)
    shuffled = np.random.default_rng([seed, 3]).permutation(usable)
    kept = len(shuffled) - int(_CALIBRATION_SHARE * len(shuffled))
    return np.sort(shuffled[:kept]), np.sort(shuffled[kept:])


def _sample(lists: CandidateLists, chosen: Integers, options: RankerOptions, seed: int) -> tuple[Integers, Integers]:
    """Rows to fit on, and 1 for the next item, 0 for `negatives` others of its list; bounded by `most_tree_rows`."""
    random = np.random.default_rng([seed, 4])
    most = max(1, options.most_tree_rows // (1 + options.negatives))
    if len(chosen) > most:
        chosen = np.sort(random.choice(chosen, most, replace=False))
    rows: list[int] = []
    marks: list[int] = []
    for number in chosen:
        target = int(lists.targets[number])
        others = np.setdiff1d(np.arange(lists.offsets[number], lists.offsets[number + 1]), [target])
        picked = random.choice(others, min(options.negatives, len(others)), replace=False)
        rows += [target, *picked.tolist()]
        marks += [1] + [0] * len(picked)
    return np.array(rows, np.int64), np.array(marks, np.int64)


def _fittable(chosen: Integers) -> bool:
    return bool(chosen.any() and not chosen.all())


def _calibrated(ranker: TreeRanker, lists: CandidateLists, rest: Integers, options: RankerOptions) -> TreeRanker:
    """Scales the trees to logits, on lists that they were not fitted on."""
    part = lists.take(rest if len(rest) else np.flatnonzero(lists.targets >= 0))
    slope, intercept = calibrate(part, ranker.logits(part.features).astype(np.float64), options)
    trees = tuple(replace(tree, contributions=tree.contributions * np.float32(slope)) for tree in ranker.trees)
    return replace(ranker, trees=trees, intercept=intercept)
