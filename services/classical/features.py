"""The ranker's features: the one implementation that fitting and serving share.

Each scorer of a bundle gives one feature, named like the scorer: the candidate's score, standardised over the whole
catalogue for this history. Two features describe the candidate alone. All of them are cheap, and the ranker is linear
in the scorers' scores, so its decision can be traced back to single history events exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

POPULARITY = "popularity"
"""log(1 + number of events), standardised over the catalogue: `popularity` of the bundle's `statistics.npz`."""

POPULARITY_FOR_NEWCOMERS = "popularity_for_newcomers"
"""`popularity` divided by 1 + number of history events: lets popularity decide while a history is short."""

SMALLEST_DEVIATION = 1e-6


def feature_names(scorers: Sequence[str]) -> tuple[str, ...]:
    """Returns the ranker's feature names, in column order, for the scorers of a bundle in manifest order."""
    return (*scorers, POPULARITY, POPULARITY_FOR_NEWCOMERS)


def standardise(candidate_scores: Floats, statistics: Floats) -> Floats:
    """Brings raw scores of any scorer to one scale.

    Args:
        candidate_scores: float32[C], raw scores.
        statistics: float32[2], mean and standard deviation of the raw scores over the whole catalogue.

    Returns:
        float32[C]; zeros when the scorer cannot tell items apart, for example for an empty history.
    """
    mean, deviation = float(statistics[0]), float(statistics[1])
    if deviation <= SMALLEST_DEVIATION:
        return np.zeros(len(candidate_scores), np.float32)
    return ((candidate_scores - np.float32(mean)) / np.float32(deviation)).astype(np.float32)


def ranker_features(
    names: Sequence[str],
    candidate_scores: Mapping[str, Floats],
    statistics: Mapping[str, Floats],
    popularity: Floats,
    history_length: int,
) -> Floats:
    """Builds the ranker's input for the candidates of one user.

    Args:
        names: Feature names in column order, as the bundle's manifest lists them.
        candidate_scores: Scorer name to float32[C], raw scores of the candidates. A scorer that did not answer may be
            missing: its feature is zero for every candidate, so it changes no order.
        statistics: Scorer name to float32[2], mean and standard deviation over the whole catalogue.
        popularity: float32[C], the candidates' rows of `popularity`.
        history_length: Number of history events that the bundle knows, at least 0.

    Returns:
        float32[C, F].
    """
    features = np.zeros((len(popularity), len(names)), np.float32)
    for column, name in enumerate(names):
        if name == POPULARITY:
            features[:, column] = popularity
        elif name == POPULARITY_FOR_NEWCOMERS:
            features[:, column] = popularity / np.float32(1 + history_length)
        elif name in candidate_scores:
            features[:, column] = standardise(candidate_scores[name], statistics[name])
    return features


def history_contributions(
    names: Sequence[str],
    weights: Floats,
    contributions: Mapping[str, Floats],
    statistics: Mapping[str, Floats],
) -> Floats:
    """Traces the ranker's linear score back to the history events.

    Column c is exactly the part of candidate c's linear score that is a sum over events. What is left (the intercept,
    popularity, and the means that standardising subtracts) is no event's doing.

    Args:
        names: Feature names in column order.
        weights: float32[F], the output `weights` of the ranker's graph: linear score for one unit of each feature.
        contributions: Scorer name to float32[H, C], as the scorers' graphs give them; not empty.
        statistics: Scorer name to float32[2].

    Returns:
        float32[H, C]: what each event added to each candidate's linear score.
    """
    total = np.zeros_like(next(iter(contributions.values())))
    for column, name in enumerate(names):
        if name in contributions and float(statistics[name][1]) > SMALLEST_DEVIATION:
            total += contributions[name] * (weights[column] / statistics[name][1])
    return total


def history_shares(names: Sequence[str], feature_contributions: Floats, contributions: Mapping[str, Floats]) -> Floats:
    """Traces the score of a ranker that is not linear back to the history events.

    What a scorer's feature added to a candidate is divided among the events that spoke for the candidate in that
    scorer, in proportion to how much they did. What a feature took away is no event's doing.

    Args:
        names: Feature names in column order.
        feature_contributions: float32[C, F], what each feature added to each candidate's score.
        contributions: Scorer name to float32[H, C], as the scorers' graphs give them; not empty.

    Returns:
        float32[H, C], at least 0: what each event added to each candidate's score.
    """
    total = np.zeros_like(next(iter(contributions.values())))
    for column, name in enumerate(names):
        if name in contributions:
            speaking = np.maximum(contributions[name], 0)
            sums = speaking.sum(axis=0)
            added = np.maximum(feature_contributions[:, column], 0)
            total += speaking * np.where(sums > SMALLEST_DEVIATION, added / np.maximum(sums, SMALLEST_DEVIATION), 0)
    return total
