"""How well screenshots are told apart: the served graph, nearest centroids of pixels, and the CNN's vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.vision.training.data.atari_screenshots import (
    PARTS,
    game_names,
    load_screenshots,
    load_stretched,
    stretched,
)
from services.vision.training.vision_transformer import measuring
from services.vision.training.vision_transformer.measuring import Accuracy, Classes, Floats


@dataclass(frozen=True)
class GamesFigures:
    """Accuracies on the same test screenshots, and what else the card says of them."""

    transformer: Accuracy
    centroid: Accuracy
    cnn: Accuracy
    games: Accuracy
    """Mean over the games of whether at least half of a game's screenshots are right."""
    repeated: float
    """Share of the test screenshots that are, pixel for pixel, among those of the fit."""
    unseen: Accuracy
    """Of the Transformer on the test screenshots that are not repeated."""
    confusions: str


def test_runs() -> Classes:
    """Returns int64[N]: which run of play, game and seed, each test screenshot is of."""
    part = PARTS["test"]
    return np.repeat(np.arange(len(game_names()) * len(part.seeds)), part.frames)


def measure_games(graph: bytes) -> GamesFigures:
    """Measures the graph beside both baselines; about ten minutes of one core the first time.

    Raises:
        SourceUnavailable: ale-py is not installed, or in another version.
    """
    names, runs = game_names(), test_runs()
    (pixels, true), (fit_pixels, fit_classes) = load_stretched("test"), load_stretched("fit")
    given = measuring.graph_answers(graph, pixels)[0].argmax(1)
    simple = measuring.nearest_centroid(fit_pixels, fit_classes, pixels)
    linear = _linear()
    known = measuring.repeated_pictures(pixels, fit_pixels)
    right = np.array([(given[true == each] == each).mean() >= 0.5 for each in range(len(names))])
    return GamesFigures(
        transformer=measuring.accuracy(given, true, runs),
        centroid=measuring.accuracy(simple, true, runs),
        cnn=measuring.accuracy(linear, true, runs),
        games=measuring.accuracy(right.astype(np.int64), np.ones(len(names), np.int64)),
        repeated=float(known.mean()),
        unseen=measuring.accuracy(given[~known], true[~known], np.unique(runs[~known], return_inverse=True)[1]),
        confusions=measuring.confusion_table(measuring.confusions(given, true, 10), names, len(true) // len(names)),
    )


def _linear() -> Classes:
    (fit_files, fit_classes), (validation_files, validation_classes), (files, _) = (
        load_screenshots(part) for part in ("fit", "validation", "test")
    )
    return measuring.linear_on_vectors(
        _vectors(fit_files, "fit"),
        fit_classes,
        _vectors(validation_files, "validation"),
        validation_classes,
        _vectors(files, "test"),
    )


def _vectors(files: list[bytes], name: str) -> Floats:
    """Returns the CNN's vectors of the whole screenshots at its own size: it sees every detail of them."""
    return measuring.cnn_vectors(files, lambda file: stretched([file], measuring.CNN_SIDE), f"games-{name}")
