"""Fits every model, compares them on users that no fit has seen, and says it in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from services.classical.training.behaviour.bg_nbd import BgNbd, GammaGamma, fit_bg_nbd, fit_gamma_gamma
from services.classical.training.behaviour.logs import DAY, WEEK, Log
from services.classical.training.behaviour.models import FittedModel, fit_models
from services.classical.training.behaviour.rows import (
    ENGAGEMENT,
    FIT,
    NEXT_SESSION,
    RETURN,
    TASKS,
    TEST,
    VALIDATION,
    VALUE,
    Moment,
    Rows,
    join_rows,
    make_rows,
    part_of,
)

BG_NBD = "bg-nbd"
_ROUNDS = 1_000
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure of one model on one log: AUC for `return`, else the mean absolute error, with the root mean squared one.

    Attributes:
        difference: (mean, low, high) against BG/NBD with the 95 % interval of a paired bootstrap over users: of the
        AUC,
            or of the absolute error; None where BG/NBD says nothing.
    """

    log: str
    task: str
    model: str
    score: float
    squared: float
    difference: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Fitted models by task and family, and what was measured on the test users."""

    models: Mapping[str, Mapping[str, FittedModel]]
    figures: tuple[Figure, ...]
    fit_rows: Rows
    test_rows: Rows


def compare(cdnow: Log, movielens: Log, say: Callable[[str], None]) -> Comparison:
    """Fits on both logs (value on CDNOW alone, which knows of money) and measures on each."""
    start = min(float(one.times[0]) for one in cdnow.values())
    split = Moment(start + 39 * WEEK, 39 * WEEK)
    begin = min(float(one.times[0]) for one in movielens.values())
    looks = [Moment(begin + days * DAY, 14 * DAY) for days in (60, 100, 140, 180)]
    say("describing users at moments")
    fit, validation, test = (make_rows(cdnow, [split], part) for part in (FIT, VALIDATION, TEST))
    film_fit, film_validation, film_test = (make_rows(movielens, looks, part) for part in (FIT, VALIDATION, TEST))
    baseline = _baseline(cdnow, split)
    models: dict[str, Mapping[str, FittedModel]] = {}
    figures: list[Figure] = []
    for task in TASKS:
        say(f"fitting {task}")
        both = task != VALUE
        models[task] = fit_models(
            task,
            join_rows([fit, film_fit]) if both else fit,
            join_rows([validation, film_validation]) if both else validation,
        )
        known = {name: model.predict(test.features) for name, model in models[task].items()}
        figures += _figures("CDNOW", task, test, known, baseline.get(task))
        if both:
            known = {name: model.predict(film_test.features) for name, model in models[task].items()}
            figures += _figures("MovieLens", task, film_test, known, None)
    return Comparison(models, tuple(figures), join_rows([fit, film_fit]), test)


def _baseline(log: Log, split: Moment) -> dict[str, Doubles]:
    """Predictions of BG/NBD with Gamma-Gamma for the test users, fitted on the fit users' time before the split."""
    frequency, recency, observed, mean_value = _summaries(log, split, FIT)
    counts: BgNbd = fit_bg_nbd(frequency, recency, observed)
    values: GammaGamma = fit_gamma_gamma(frequency, mean_value)
    frequency, recency, observed, mean_value = _summaries(log, split, TEST)
    expected = counts.expected_purchases(split.horizon / WEEK, frequency, recency, observed)
    return {
        RETURN: expected,
        ENGAGEMENT: expected,
        VALUE: expected * values.expected_value(frequency, mean_value),
    }


def _summaries(log: Log, split: Moment, part: str) -> tuple[Doubles, ...]:
    """Repeat purchases, time of the last, length of observation (weeks) and mean repeat value, as BG/NBD wants them."""
    rows = []
    for user_id, everything in log.items():
        known = everything.until(split.now)
        if part_of(user_id) == part and len(known.times):
            first, last = float(known.times[0]), float(known.times[-1])
            mean = float(known.values[1:].mean()) if len(known.times) > 1 else 0.0
            rows.append((len(known.times) - 1, (last - first) / WEEK, (split.now - first) / WEEK, mean))
    return tuple(np.array(rows, np.float64).T)


def _figures(log: str, task: str, rows: Rows, known: Mapping[str, Doubles], baseline: Doubles | None) -> list[Figure]:
    target = rows.targets[task]
    everything = {**known, BG_NBD: baseline} if baseline is not None else dict(known)
    return [
        Figure(
            log,
            task,
            name,
            _score(task, target, values),
            float(np.sqrt(((values - target) ** 2).mean()))
            if not (name == BG_NBD and task == RETURN)
            else float("nan"),
            _difference(task, target, values, baseline) if baseline is not None and name != BG_NBD else None,
        )
        for name, values in everything.items()
    ]


def _score(task: str, target: Doubles, values: Doubles) -> float:
    return float(roc_auc_score(target, values)) if task == RETURN else float(np.abs(values - target).mean())


def _difference(task: str, target: Doubles, ours: Doubles, theirs: Doubles) -> tuple[float, float, float]:
    """B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, paired by user."""
    random = np.random.default_rng(0)
    draws = []
    for _ in range(_ROUNDS):
        chosen = random.integers(0, len(target), len(target))
        draws.append(_score(task, target[chosen], ours[chosen]) - _score(task, target[chosen], theirs[chosen]))
    low, high = np.percentile(draws, [2.5, 97.5])
    return _score(task, target, ours) - _score(task, target, theirs), float(low), float(high)


def table(figures: tuple[Figure, ...], task: str) -> str:
    """The figures of a task as a table in Markdown."""
    what = "AUC" if task == RETURN else "mean absolute error"
    lines = [
        f"| log | model | {what} | root mean squared error | against BG/NBD (95 % interval) |",
        "|---|---|---|---|---|",
    ]
    for one in figures:
        if one.task == task:
            against = "{:+.4f} ({:+.4f} to {:+.4f})".format(*one.difference) if one.difference else ""
            squared = "" if np.isnan(one.squared) else f"{one.squared:.4f}"
            lines.append(f"| {one.log} | {one.model} | {one.score:.4f} | {squared} | {against} |")
    return "\n".join(lines)


UNITS = {
    RETURN: "probability that a session follows within the horizon; churn is 1 minus it",
    ENGAGEMENT: "sessions within the horizon",
    VALUE: "sum of the values within the horizon, in the unit of the events' values",
    NEXT_SESSION: "time until the next session as a share of the horizon, 1 when none follows",
}
"""What a model of each task answers."""
