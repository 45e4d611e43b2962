"""Checks the estimators where the truth is known: `python -m services.orchestrator.learning.simulator [--runs N]`.

A made-up world: users of some kinds, items of some quality, and clicks with a probability that depends on both.
Lists are logged with the exploration that serves, `placing.place`, and its propensities; the other way of choosing
is another temperature. Each run logs anew and asks whether the estimate's 95 % interval holds the truth.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy

from services.orchestrator.learning.intervals import Interval, share
from services.orchestrator.learning.off_policy import Doubles, LoggedChoices, inverse_propensity, self_normalised
from services.orchestrator.recommend.placing import place, softmax
from services.orchestrator.recommend.ranking import ScoredItem
from services.orchestrator.recommend.steering import ExplorationOptions

KINDS, ITEMS = 5, 12
LOGGED_TEMPERATURE, OTHER_TEMPERATURE = 1.5, 0.5


@dataclass(frozen=True)
class World:
    """Scores float64[K, I] that a ranker gives the items for each kind of user, and the true click probabilities."""

    scores: Doubles
    clicks: Doubles

    @classmethod
    def made_up(cls, seed: int) -> World:
        """Draw a world in which the ranker is right on the whole."""
        random = numpy.random.default_rng(seed)
        quality = random.normal(size=(KINDS, ITEMS))
        clicks = 1 / (1 + numpy.exp(1.5 - quality))
        return cls(quality + random.normal(scale=0.7, size=quality.shape), clicks)

    def truth(self, temperature: float) -> float:
        """Return the click-through of choosing by softmax at a temperature."""
        return float(numpy.mean([softmax(self.scores[kind], temperature) @ self.clicks[kind] for kind in range(KINDS)]))


def log_choices(world: World, count: int, seed: int) -> LoggedChoices:
    """Show `count` lists with one explored place and log what was clicked there."""
    random = numpy.random.default_rng(seed)
    exploration = ExplorationOptions((0,), LOGGED_TEMPERATURE)
    rewards, propensities, targets = numpy.zeros(count), numpy.zeros(count), numpy.zeros(count)
    lists = [
        sorted((ScoredItem(str(item), float(world.scores[kind, item])) for item in range(ITEMS)), key=_descending)
        for kind in range(KINDS)
    ]
    others = [softmax(world.scores[kind], OTHER_TEMPERATURE) for kind in range(KINDS)]
    for number, kind in enumerate(random.integers(0, KINDS, count).tolist()):
        shown = place(
            lists[kind], page_size=1, caps={}, exploration=exploration, tags_of=lambda item_id: (), random=random
        )[0]
        item = int(shown.item.item_id)
        rewards[number] = float(random.random() < world.clicks[kind, item])
        propensities[number], targets[number] = shown.propensity, others[kind][item]
    return LoggedChoices(rewards, propensities, targets)


@dataclass(frozen=True)
class Coverage:
    """How an estimator did over many logs: share of intervals that hold the truth, mean error, mean width."""

    name: str
    held: Interval
    bias: float
    width: float
    values: Doubles


def measure_coverage(runs: int, count: int, seed: int = 1) -> tuple[float, list[Coverage]]:
    """Return the truth, and how both estimators did over `runs` logs of `count` choices."""
    world = World.made_up(seed)
    truth = world.truth(OTHER_TEMPERATURE)
    logs = [log_choices(world, count, seed * 100_000 + run) for run in range(runs)]
    found = []
    for name, estimator in (("IPS", inverse_propensity), ("SNIPS", self_normalised)):
        estimates = [estimator(log) for log in logs]
        values = numpy.array([one.value for one in estimates])
        held = sum(one.low <= truth <= one.high for one in estimates)
        width = float(numpy.mean([one.high - one.low for one in estimates]))
        found.append(Coverage(name, share(held, runs), float(values.mean() - truth), width, values))
    return truth, found


def _descending(item: ScoredItem) -> float:
    return -item.score


def _draw(path: Path, truth: float, found: list[Coverage]) -> None:
    import matplotlib as mpl  # noqa: PLC0415  # only for those who want a picture

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for one in found:
        axes.hist(one.values, bins=40, alpha=0.5, label=f"{one.name}: {one.held.value:.1%} of intervals hold the truth")
    axes.axvline(truth, color="black", linestyle="--", label=f"truth: {truth:.4f}")
    axes.set_xlabel("estimated click-through of the other way")
    axes.set_ylabel("logs")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Measure and print; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m services.orchestrator.learning.simulator", description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="logs to make (%(default)s)")
    parser.add_argument("--choices", type=int, default=1_000, help="choices a log (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the world and the logs (%(default)s)")
    parser.add_argument("--plot", type=Path, help="file for a picture of the estimates")
    options = parser.parse_args()
    truth, found = measure_coverage(options.runs, options.choices, options.seed)
    print(f"truth {truth:.4f}; {options.runs} logs of {options.choices} choices")  # noqa: T201
    print("| estimator | 95 % intervals that hold the truth | bias | mean width |\n|---|---|---|---|")  # noqa: T201
    for one in found:
        held = f"{one.held.value:.1%} ({one.held.low:.1%} to {one.held.high:.1%})"
        print(f"| {one.name} | {held} | {one.bias:+.5f} | {one.width:.4f} |")  # noqa: T201
    if options.plot:
        _draw(options.plot, truth, found)


if __name__ == "__main__":
    main()
