"""The ranker: a linear model that learns to put the item that came next above the other candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import scipy.optimize
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from services.classical.features import POPULARITY, POPULARITY_FOR_NEWCOMERS
from services.classical.training.candidate_lists import CandidateLists
from services.classical.training.dataset import Floats
from services.classical.training.graphs import ranker_graph
from services.classical.training.options import RankerOptions

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class LinearRanker:
    """logit = Σ coefficientᵢ · (featureᵢ - meanᵢ) / scaleᵢ + intercept.

    Attributes:
        names: Feature names in column order.
        means: float32[F].
        scales: float32[F], above 0.
        coefficients: float32[F]; those of scorers are never negative.
        intercept: Makes the sigmoid of the logit a probability.
        lists: Number of candidate lists it learnt from; 0 when the data held none and equal weights were taken.
        name: "linear", or "svm" for one that is fitted as a support vector machine.
        algorithm: In one line, for the manifest.
    """

    names: tuple[str, ...]
    means: Floats
    scales: Floats
    coefficients: Floats
    intercept: float
    lists: int
    name: str = "linear"
    algorithm: str = "linear, conditional logit over candidate lists"

    def contributions(self, features: Floats) -> Floats:
        """float32[C, F]: what each feature adds to the logit."""
        weights: Floats = self.coefficients / self.scales
        return (features - self.means) * weights

    def logits(self, features: Floats) -> Floats:
        """float32[C]."""
        total: Floats = self.contributions(features).sum(axis=1) + np.float32(self.intercept)
        return total

    def graph(self) -> onnx.ModelProto:
        """Writes the ranker; see `ranker_graph`."""
        return ranker_graph(self.means, self.scales, self.coefficients, self.intercept)


def fit_linear_ranker(lists: CandidateLists, options: RankerOptions) -> LinearRanker:
    """Maximises the likelihood of each list's next item under a softmax over the list.

    This is McFadden's conditional logit ("Conditional logit analysis of qualitative choice behavior", 1974), the
    listwise loss of Cao et al. (ICML 2007) with one relevant item. Comparing within a list only, it does not care how
    many candidates users have or how strong their scores are overall. The gradient method is L-BFGS-B, with scorer
    coefficients held at or above zero: an explanation never says that an item is shown *although* a scorer likes it.
    A pull towards equal weights decides where data is scarce. Platt scaling then turns scores into probabilities.
    """
    prior = np.array([_prior(name, len(lists.names) - 2) for name in lists.names])
    bounds = [(None, None) if name == POPULARITY else (0.0, None) for name in lists.names]
    means = lists.features.mean(axis=0) if len(lists.features) else np.zeros(len(prior), np.float32)
    scales = lists.features.std(axis=0) if len(lists.features) else np.ones(len(prior), np.float32)
    scales = np.where(scales > 1e-6, scales, 1.0)
    usable, starts, targets = _lists_with_target(lists)
    standardised = (lists.features[usable].astype(np.float64) - means) / scales

    def loss(coefficients: Doubles) -> tuple[float, Doubles]:
        pull = coefficients - prior
        value, gradient = _negative_log_likelihood(coefficients, standardised, starts, targets)
        weight = options.prior_strength / max(len(targets), 1)
        return value + weight * float(pull @ pull), gradient + 2 * weight * pull

    coefficients = prior
    if len(targets):
        coefficients = scipy.optimize.minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds).x
    slope, intercept = calibrate(lists, ((lists.features - means) / scales) @ coefficients, options)
    return LinearRanker(
        names=lists.names,
        means=np.asarray(means, np.float32),
        scales=np.asarray(scales, np.float32),
        coefficients=np.asarray(slope * coefficients, np.float32),
        intercept=intercept,
        lists=len(targets),
    )


def _prior(name: str, scorers: int) -> float:
    if name == POPULARITY:
        return 0.0
    return 1.0 if name == POPULARITY_FOR_NEWCOMERS else 1.0 / max(scorers, 1)


def _lists_with_target(lists: CandidateLists) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Candidates of the lists that hold their next item: mask over all, list starts and target indices within them."""
    sizes = np.diff(lists.offsets)
    holding = lists.targets >= 0
    usable = np.repeat(holding, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes[holding])])[:-1].astype(np.int64)
    return usable, starts, starts + (lists.targets - lists.offsets[:-1])[holding]


def _negative_log_likelihood(
    coefficients: Doubles, features: Doubles, starts: NDArray[np.int64], targets: NDArray[np.int64]
) -> tuple[float, Doubles]:
    """Mean over lists, and its gradient."""
    sizes = np.diff(np.append(starts, len(features)))
    scores = features @ coefficients
    scores -= np.repeat(np.maximum.reduceat(scores, starts), sizes)
    exponentials = np.exp(scores)
    totals = np.add.reduceat(exponentials, starts)
    value = float((np.log(totals) - scores[targets]).mean())
    expected = (exponentials / np.repeat(totals, sizes)) @ features
    return value, (expected - features[targets].sum(axis=0)) / len(targets)


def calibrate(lists: CandidateLists, scores: Doubles, options: RankerOptions) -> tuple[float, float]:
    """Slope and intercept that turn scores into probabilities of being next; the slope never changes the order."""
    chosen = np.zeros(len(scores), np.int64)
    chosen[lists.targets[lists.targets >= 0]] = 1
    if not chosen.any() or chosen.all():
        return 1.0, float(-np.log(options.candidates_per_scorer))
    model = LogisticRegression(C=1e4).fit(scores[:, None], chosen)
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        share = float(chosen.mean())
        return 1.0, float(np.log(share / (1 - share)) - scores.mean())
    return slope, float(model.intercept_[0])
