"""Every choice of a fit in one place.

The defaults were chosen on the validation position (second newest event of each user) of MovieLens-100K under the
leave-one-out protocol, mean of three tie seeds; the test position took no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.classical.training.extra_sources import ExtraSource

LARGEST_CATALOGUE = 1_000_000
"""Most items a bundle may hold."""

DENSE_CATALOGUE = 20_000
"""Most items for which item-to-item scorers keep one float32 for each pair: 1.6 GB at this size."""


SOURCES = ("ease", "markov", "factors", "ials", "item2vec")
"""Every collaborative scorer, in the order of a bundle."""

DEFAULT_SOURCES = ("ease", "markov", "factors", "ials")
"""What is fitted unless more is asked for; with the scorers of texts and tags that makes six candidate sources."""


@dataclass(frozen=True)
class EaseOptions:
    """EASE with recency-decayed input.

    Attributes:
        decay: Factor for each step back in the history when scoring, above 0, at most 1.
        window: Newest events that count when scoring; older ones add nothing (.9 to the power of 60 is .002).
        fit_decay: The same factor on the input while fitting, over the whole history.
        regularization: Ridge penalty, above 0; larger prefers popular evidence.
    """

    decay: float = 0.9
    window: int = 60
    fit_decay: float = 0.99
    regularization: float = 200.0


@dataclass(frozen=True)
class MarkovOptions:
    """Decayed Markov item-to-item.

    Attributes:
        decay: Factor for each step back in the history when scoring.
        window: Newest events that count when scoring.
        fit_decay: Factor for each further step between two events while counting.
        fit_window: Largest number of steps between two events that counts.
        source_exponent: Power of the source item's total that counts are divided by: 1 gives probabilities, less
            lets items with much evidence speak louder.
        target_exponent: Power of the target item's total that counts are divided by: 0 favours popular targets.
    """

    decay: float = 0.8
    window: int = 30
    fit_decay: float = 0.8
    fit_window: int = 10
    source_exponent: float = 0.5
    target_exponent: float = 0.2


@dataclass(frozen=True)
class FactorOptions:
    """Matrix factorisation by gradient descent, fold-in-free.

    Attributes:
        decay: Factor for each step back in the history, the same when fitting and when scoring.
        window: Newest events that count, the same when fitting and when scoring.
        dimensions: Length of an item's factor vectors.
        epochs: Passes over all next-item positions.
        minimum_steps: Fewest gradient steps; tiny data sets get more passes to reach it.
        batch: Positions a step.
        learning_rate: Adam's first step size; falls linearly to zero.
        weight_decay: Decoupled weight decay.
        initial_scale: Standard deviation of the factors before the first step.
    """

    decay: float = 0.8
    window: int = 30
    dimensions: int = 64
    epochs: int = 4
    minimum_steps: int = 200
    batch: int = 1024
    learning_rate: float = 0.01
    weight_decay: float = 0.3
    initial_scale: float = 0.05


@dataclass(frozen=True)
class IalsOptions:
    """Matrix factorisation by alternating least squares.

    Attributes:
        decay: Factor for each step back in the history when scoring.
        window: Newest events that count when scoring.
        fit_decay: The same factor on the input while fitting, over the whole history.
        dimensions: Length of an item's factor vectors.
        confidence: How much more an event counts than a missing one, for each unit of weight.
        regularization: Ridge penalty of the factors.
        iterations: Passes over users and items.
    """

    decay: float = 0.83
    window: int = 30
    fit_decay: float = 0.97
    dimensions: int = 32
    confidence: float = 4.0
    regularization: float = 10.0
    iterations: int = 15


@dataclass(frozen=True)
class Item2vecOptions:
    """item2vec as a decomposition of mutual information.

    Attributes:
        decay: Factor for each step back in the history when scoring.
        window: Newest events that count when scoring.
        fit_window: Largest number of steps between two events that counts as a pair.
        fit_decay: Factor for each further step between two events while counting.
        dimensions: Length of an item's vectors.
        negatives: Number of negative samples that the shift stands for, at least 1.
        smoothing: Power of an item's frequency as a context.
        value_exponent: Power of the singular values in both vectors.
    """

    decay: float = 0.7
    window: int = 30
    fit_window: int = 5
    fit_decay: float = 0.9
    dimensions: int = 128
    negatives: float = 1.0
    smoothing: float = 0.5
    value_exponent: float = 0.25


@dataclass(frozen=True)
class ContentOptions:
    """Content scorers: vectors of texts, pictures or tags.

    Attributes:
        decay: Factor for each step back in the history.
        window: Newest events that count.
    """

    decay: float = 0.9
    window: int = 30


@dataclass(frozen=True)
class RankerOptions:
    """The linear ranker.

    Attributes:
        held_out: Newest events of each user that the first stage does not see while the ranker learns from its
            scores; users with few events give at most half of theirs.
        candidates_per_scorer: Best items of each scorer, and most popular items, that make up a candidate list.
        most_lists: Candidate lists to learn from at most; a larger data set is sampled.
        short_history_share: Share of lists that are repeated with a history cut to its newest 0 to 4 events, so
            that the ranker learns what to do for newcomers.
        families: Rankers to fit besides the linear one: "svm", "forest", "boosted".
        trees: Trees of a forest or of boosting.
        leaves: Most leaves of one tree of a forest.
        negatives: Candidates for each next item among the rows that trees are fitted on.
        most_tree_rows: Rows that trees, or pairs that the SVM, are fitted on at most.
        prior_strength: Pull of the coefficients towards equal weights, in numbers of lists: decides for tiny data
            sets, means nothing for large ones.
    """

    held_out: int = 4
    candidates_per_scorer: int = 100
    most_lists: int = 6_000
    short_history_share: float = 0.25
    prior_strength: float = 20.0
    families: tuple[str, ...] = ("svm", "forest")
    trees: int = 40
    leaves: int = 128
    negatives: int = 8
    most_tree_rows: int = 12_000


@dataclass(frozen=True)
class LargeOptions:
    """What changes for large catalogues.

    Attributes:
        dense_items: Up to this many items, item-to-item scorers are whole matrices, factors are fitted with the full
            softmax, and every item is scored; beyond, neighbours are few, negatives are sampled and an index finds
            the best items.
        neighbours: Neighbours that an item keeps.
        solved_items: Most frequent items among which EASE is solved; the others have no neighbours in it.
        negatives: Sampled negatives of a step.
        batch: Positions of a step with sampled negatives.
        recall: Share of the exactly best 100 items that an index must find.
    """

    dense_items: int = DENSE_CATALOGUE
    neighbours: int = 100
    solved_items: int = 10_000
    negatives: int = 1024
    batch: int = 2048
    recall: float = 0.98


@dataclass(frozen=True)
class FitOptions:
    """All options of one fit.

    Attributes:
        sources: Collaborative scorers to fit, in the order of the bundle.
        extra: Candidate sources of other model families to fit with them.
        seed: Seeds every random choice: the same data, options and seed give the same bundle on one machine.
    """

    sources: tuple[str, ...] = DEFAULT_SOURCES
    extra: tuple[ExtraSource, ...] = ()
    ease: EaseOptions = field(default_factory=EaseOptions)
    markov: MarkovOptions = field(default_factory=MarkovOptions)
    factors: FactorOptions = field(default_factory=FactorOptions)
    ials: IalsOptions = field(default_factory=IalsOptions)
    item2vec: Item2vecOptions = field(default_factory=Item2vecOptions)
    content: ContentOptions = field(default_factory=ContentOptions)
    ranker: RankerOptions = field(default_factory=RankerOptions)
    large: LargeOptions = field(default_factory=LargeOptions)
    seed: int = 1
