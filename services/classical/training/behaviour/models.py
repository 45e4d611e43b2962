"""Three families of models for each task: gradient descent, support vectors, random forest; calibrated on users that
they were not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.svm import SVC, SVR

from services.classical.behaviour_features import FEATURES
from services.classical.training.behaviour.rows import RETURN, VALUE, Rows
from services.classical.training.dataset import Floats
from services.classical.training.decision_trees import DecisionTree, read_tree, tree_attributes
from services.runtime.training.graph_builder import GraphBuilder, tensor

GRADIENT, SVM, FOREST = "gradient", "svm", "forest"
_MOST_SUPPORT_ROWS = 3_000
_MOST_TREE_ROWS = 50_000
_TREES = 60
_SEED = 1

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FittedModel:
    """A model of one task.

    `raw` gives float64[R] scores of features float32[R, F]; the answer is sigmoid(slope · raw + shift) for
    probabilities, slope · raw otherwise. `write_raw` adds the nodes that compute raw, as float32[R, 1], to a graph.
    """

    family: str
    task: str
    raw: Callable[[Floats], Doubles]
    write_raw: Callable[[GraphBuilder], str]
    slope: float = 1.0
    shift: float = 0.0

    def predict(self, features: Floats) -> Doubles:
        """float64[R]: a probability for `return`, what is expected otherwise, at least 0."""
        raw = self.raw(features)
        if self.task == RETURN:
            return np.asarray(1 / (1 + np.exp(-(self.slope * raw + self.shift))))
        return np.maximum(self.slope * raw, 0.0)

    def graph(self) -> onnx.ModelProto:
        """Inputs: features float32[R, F]. Outputs: value float32[R]."""
        builder = GraphBuilder()
        raw = self.write_raw(builder)
        scaled = builder.node("Mul", "scaled", raw, builder.constant("slope", np.array([self.slope], np.float32)))
        if self.task == RETURN:
            shifted = builder.node(
                "Add", "shifted", scaled, builder.constant("shift", np.array([self.shift], np.float32))
            )
            final = builder.node("Sigmoid", "final", shifted)
        else:
            final = builder.node("Relu", "final", scaled)
        builder.node("Reshape", "value", final, builder.constant("flat", np.array([-1])))
        return builder.model(
            f"{self.task}_{self.family}",
            [tensor("features", TensorProto.FLOAT, ["R", len(FEATURES)])],
            [tensor("value", TensorProto.FLOAT, ["R"])],
        )


def fit_models(task: str, fit: Rows, calibration: Rows) -> dict[str, FittedModel]:
    """Fits every family for a task and calibrates it."""
    fitted = {name: make(task, fit) for name, make in _FAMILIES.items()}
    return {name: _calibrate(model, calibration) for name, model in fitted.items()}


def _fit_gradient(task: str, rows: Rows) -> FittedModel:
    """Logistic regression for probabilities; else Poisson regression, whose answers are never negative (P. McCullagh,
    J. Nelder, "Generalized Linear Models", 1989). Both by L-BFGS on standardised features.
    """
    means, scales, features = _standardised(rows)
    target = rows.targets[task]
    if task == RETURN:
        model: Any = LogisticRegression(C=1.0, max_iter=500).fit(features, target > 0)
        weights, intercept = model.coef_[0], float(model.intercept_[0])
    else:
        model = PoissonRegressor(alpha=1e-3, max_iter=500).fit(features, target)
        weights, intercept = model.coef_, float(model.intercept_)
    per_unit = (weights / scales).astype(np.float32)
    constant = np.float32(intercept - float((weights * means / scales).sum()))

    def raw(given: Floats) -> Doubles:
        linear = np.asarray(given @ per_unit + constant, np.float64)
        return linear if task == RETURN else np.exp(np.minimum(linear, 20.0))

    def write(builder: GraphBuilder) -> str:
        product = builder.node("MatMul", "product", "features", builder.constant("weights", per_unit[:, None]))
        linear = builder.node("Add", "linear", product, builder.constant("constant", np.array([constant], np.float32)))
        if task == RETURN:
            return linear
        bounded = builder.node("Min", "bounded", linear, builder.constant("most", np.array([20.0], np.float32)))
        return builder.node("Exp", "raw", bounded)

    return FittedModel(GRADIENT, task, raw, write)


def _fit_svm(task: str, rows: Rows) -> FittedModel:
    """Support vector classification or regression with a Gaussian kernel (B. Boser et al., COLT 1992; H. Drucker et
    al., NIPS 1996). Amounts are learnt as log(1 + amount), because a few of them are very large.
    """
    chosen = _sampled(len(rows), _MOST_SUPPORT_ROWS)
    means, scales, features = _standardised(rows)
    features, target = features[chosen], rows.targets[task][chosen]
    gamma = 1.0 / len(FEATURES) / 2
    if task == RETURN:
        model: Any = SVC(C=1.0, kernel="rbf", gamma=gamma, random_state=_SEED).fit(features, target > 0)
        weights = model.dual_coef_[0]
    else:
        model = SVR(C=1.0, kernel="rbf", gamma=gamma, epsilon=0.1).fit(features, np.log1p(target))
        weights = model.dual_coef_[0]
    vectors = model.support_vectors_.astype(np.float32)
    shift = np.float32(float(model.intercept_[0]))
    norms = (vectors.astype(np.float64) ** 2).sum(axis=1)

    def raw(given: Floats) -> Doubles:
        scaled = ((given - means) / scales).astype(np.float64)
        distances = (scaled**2).sum(axis=1)[:, None] - 2 * scaled @ vectors.T.astype(np.float64) + norms
        total = np.exp(-gamma * distances) @ weights + shift
        return np.asarray(total if task == RETURN else np.expm1(np.clip(total, 0.0, 15.0)))

    def write(builder: GraphBuilder) -> str:
        centred = builder.node("Sub", "centred", "features", builder.constant("means", np.float32(means)))
        scaled = builder.node("Div", "scaled_features", centred, builder.constant("scales", np.float32(scales)))
        squares = builder.node("Mul", "squares", scaled, scaled)
        own = builder.node("ReduceSum", "own_norms", squares, builder.constant("axis_1", [1]), keepdims=1)
        cross = builder.node("MatMul", "cross", scaled, builder.constant("vectors", -2 * vectors.T))
        distances = builder.node(
            "Add", "distances", builder.node("Add", "partial", cross, own), builder.constant("norms", np.float32(norms))
        )
        kernel = builder.node(
            "Exp",
            "kernel",
            builder.node("Mul", "exponent", distances, builder.constant("gamma", np.array([-gamma], np.float32))),
        )
        summed = builder.node(
            "MatMul", "summed", kernel, builder.constant("dual", np.asarray(weights, np.float32)[:, None])
        )
        total = builder.node("Add", "total", summed, builder.constant("intercept", np.array([shift], np.float32)))
        if task == RETURN:
            return total
        low, high = builder.constant("low", np.float32(0)), builder.constant("high", np.float32(15))
        grown = builder.node("Exp", "grown", builder.node("Clip", "clipped", total, low, high))
        return builder.node("Sub", "raw", grown, builder.constant("one", np.array([1], np.float32)))

    return FittedModel(SVM, task, raw, write)


def _fit_forest(task: str, rows: Rows) -> FittedModel:
    """A random forest (L. Breiman, 2001), which learns thresholds that nobody has to think of."""
    chosen = _sampled(len(rows), _MOST_TREE_ROWS)
    features, target = rows.features[chosen], rows.targets[task][chosen]
    options: dict[str, Any] = {"max_leaf_nodes": 64, "min_samples_leaf": 25, "max_features": 0.5, "random_state": _SEED}
    if task == RETURN:
        model: Any = RandomForestClassifier(_TREES, **options).fit(features, target > 0)
        positive = list(model.classes_).index(True)
        values = [one.tree_.value[:, 0, positive] / _TREES for one in model.estimators_]
    else:
        model = RandomForestRegressor(_TREES, **options).fit(features, target)
        values = [one.tree_.value[:, 0, 0] / _TREES for one in model.estimators_]
    read = [read_tree(one.tree_, value, len(FEATURES)) for one, value in zip(model.estimators_, values, strict=True)]
    trees: list[DecisionTree] = [tree for tree, _ in read]
    base = float(sum(mean for _, mean in read))

    def raw(given: Floats) -> Doubles:
        total = np.full(len(given), base)
        for tree in trees:
            total += tree.contributions[tree.leaves(given)].sum(axis=1)
        # Probabilities become log-odds, so that calibrating them is a line.
        return _log_odds(total) if task == RETURN else total

    def write(builder: GraphBuilder) -> str:
        parts = builder.node(
            "TreeEnsembleRegressor", "parts", "features", domain="ai.onnx.ml", **tree_attributes(trees)
        )
        summed = builder.node("ReduceSum", "summed", parts, builder.constant("axis_1", [1]), keepdims=1)
        total = builder.node("Add", "total", summed, builder.constant("base", np.array([base], np.float32)))
        if task != RETURN:
            return total
        low, high = builder.constant("low", np.float32(1e-4)), builder.constant("high", np.float32(1 - 1e-4))
        share = builder.node("Clip", "share", total, low, high)
        rest = builder.node("Sub", "rest", builder.constant("one", np.array([1], np.float32)), share)
        return builder.node("Log", "log_odds", builder.node("Div", "odds", share, rest))

    return FittedModel(FOREST, task, raw, write)


_FAMILIES: Mapping[str, Callable[[str, Rows], FittedModel]] = {
    GRADIENT: _fit_gradient,
    SVM: _fit_svm,
    FOREST: _fit_forest,
}


_TYPICAL = frozenset({(SVM, VALUE)})
"""Models that say what is typical instead of what is expected: support vector regression keeps the absolute error
small, and scaling it to the mean of a skewed amount would give that away."""


def _calibrate(model: FittedModel, rows: Rows) -> FittedModel:
    """Platt scaling (J. Platt, 1999) for probabilities; else one factor that makes the mean right."""
    raw, target = model.raw(rows.features), rows.targets[model.task]
    if (model.family, model.task) in _TYPICAL:
        return model
    if model.task == RETURN:
        scaled = LogisticRegression(C=1e4).fit(raw[:, None], target > 0)
        slope, shift = float(scaled.coef_[0, 0]), float(scaled.intercept_[0])
    else:
        slope, shift = float(target.mean() / max(raw.mean(), 1e-9)), 0.0
    return FittedModel(model.family, model.task, model.raw, model.write_raw, slope, shift)


def _standardised(rows: Rows) -> tuple[Doubles, Doubles, Doubles]:
    means, scales = rows.features.mean(axis=0).astype(np.float64), rows.features.std(axis=0).astype(np.float64)
    scales = np.where(scales > 1e-6, scales, 1.0)
    return means, scales, (rows.features - means) / scales


def _sampled(count: int, most: int) -> NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(_SEED).choice(count, most, replace=False))


def _log_odds(shares: Doubles) -> Doubles:
    bounded = np.clip(shares, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(bounded / (1 - bounded)))
