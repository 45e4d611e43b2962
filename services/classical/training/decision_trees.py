"""Fitted decision trees as arrays: scores, what each feature added to them, and their graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.classical.training.dataset import Floats, Integers

_LEAF = -1


@dataclass(frozen=True)
class DecisionTree:
    """One binary tree over M nodes; node 0 is the root. A row goes left where its feature is at most the threshold.

    Attributes:
        features: int64[M], feature that a node asks about; -1 at leaves.
        thresholds: float32[M].
        left: int64[M], child where the answer is yes.
        right: int64[M].
        contributions: float32[M, F]; at a leaf, what each feature adds to the score of a row that ends there.
    """

    features: Integers
    thresholds: Floats
    left: Integers
    right: Integers
    contributions: Floats

    def leaves(self, rows: Floats) -> Integers:
        """int64[C], the leaf of each row of float32[C, F]."""
        places = np.zeros(len(rows), np.int64)
        while len(asking := np.flatnonzero(self.features[places] != _LEAF)):
            at = places[asking]
            yes = rows[asking, self.features[at]] <= self.thresholds[at]
            places[asking] = np.where(yes, self.left[at], self.right[at])
        return places


def read_tree(tree: Any, leaf_values: Floats, feature_count: int) -> tuple[DecisionTree, float]:
    """Reads a fitted scikit-learn tree; returns it with the mean value over the rows that it was fitted on.

    A step from a node to its child changes the expected value; the change is the doing of the feature that the node
    asks about (A. Palczewska et al., "Interpreting random forest models using a feature contribution method", IRI
    2013). Summed along a path, the changes are exactly the leaf's value minus the mean.

    Args:
        tree: `tree_` of an estimator.
        leaf_values: float[M], value of each leaf; what it says of other nodes is not read.
        feature_count: F.
    """
    count = tree.node_count
    leaf = tree.children_left == _LEAF
    expected = np.where(leaf, leaf_values, 0.0).astype(np.float64)
    weights = tree.weighted_n_node_samples
    # Children have larger numbers than their parents in both directions of these loops.
    for node in range(count - 1, -1, -1):
        if not leaf[node]:
            left, right = tree.children_left[node], tree.children_right[node]
            expected[node] = (weights[left] * expected[left] + weights[right] * expected[right]) / weights[node]
    contributions = np.zeros((count, feature_count))
    for node in range(count):
        if not leaf[node]:
            for child in (tree.children_left[node], tree.children_right[node]):
                contributions[child] = contributions[node]
                contributions[child, tree.feature[node]] += expected[child] - expected[node]
    thresholds = tree.threshold.astype(np.float32)
    # A float32 is at most the threshold exactly when it is at most the largest float32 that is.
    too_large = thresholds.astype(np.float64) > tree.threshold
    thresholds[too_large] = np.nextafter(thresholds[too_large], np.float32(-np.inf))
    return (
        DecisionTree(
            np.where(leaf, _LEAF, tree.feature).astype(np.int64),
            thresholds,
            tree.children_left.astype(np.int64),
            tree.children_right.astype(np.int64),
            np.where(leaf[:, None], contributions, 0.0).astype(np.float32),
        ),
        float(expected[0]),
    )


def tree_attributes(trees: Sequence[DecisionTree]) -> dict[str, Any]:
    """Attributes of the operator TreeEnsembleRegressor (ai.onnx.ml, version 3) with one target for each feature."""
    numbers = [len(tree.features) for tree in trees]
    leaf = np.concatenate([tree.features == _LEAF for tree in trees])
    nodes = np.concatenate([np.arange(number) for number in numbers])
    owners = np.repeat(np.arange(len(trees)), numbers)
    contributions = np.concatenate([tree.contributions for tree in trees])
    places, targets = np.nonzero(contributions)
    # A leaf that adds nothing still needs an entry, or the operator takes the tree for damaged.
    empty = np.flatnonzero(leaf & ~contributions.any(axis=1))
    places, targets = np.concatenate([places, empty]), np.concatenate([targets, np.zeros(len(empty), np.int64)])
    order = np.lexsort((targets, places))
    places, targets = places[order], targets[order]
    return {
        "n_targets": contributions.shape[1],
        "aggregate_function": "SUM",
        "nodes_treeids": owners.tolist(),
        "nodes_nodeids": nodes.tolist(),
        "nodes_featureids": np.concatenate([np.maximum(tree.features, 0) for tree in trees]).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, 0, np.concatenate([tree.thresholds for tree in trees])).tolist(),
        "nodes_truenodeids": np.concatenate([np.maximum(tree.left, 0) for tree in trees]).tolist(),
        "nodes_falsenodeids": np.concatenate([np.maximum(tree.right, 0) for tree in trees]).tolist(),
        "target_treeids": owners[places].tolist(),
        "target_nodeids": nodes[places].tolist(),
        "target_ids": targets.tolist(),
        "target_weights": contributions[places, targets].tolist(),
    }
