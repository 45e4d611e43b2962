"""Measures the Vision Transformers as committed: `python -m tests.quality.vision.vision_transformer`.

Fashion-MNIST takes a minute. The screenshots are played again by ale-py, which only `.venv-training` has; with
`efficientnet-lite0` over them that is about ten minutes of one core the first time, and the data folder keeps both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from services.runtime.sources import SourceUnavailable
from services.vision.training.data.fashion_mnist import LABELS, load_fashion_mnist
from services.vision.training.vision_transformer import measuring
from services.vision.training.vision_transformer.games_measured import GamesFigures, measure_games
from services.vision.training.vision_transformer.measuring import Accuracy

FASHION, GAMES = "vit-fashion-mnist", "vit-atari-games"
FLOOR = 0.93


def measure_fashion() -> Accuracy:
    """Returns the accuracy on the 10,000 pictures of the test set.

    Raises:
        SourceUnavailable: the pictures cannot be fetched.
    """
    pixels, true = load_fashion_mnist("t10k")
    given, _ = measuring.graph_answers(measuring.served_graph(FASHION), pixels)
    assert given.shape[1] == len(LABELS)
    return measuring.accuracy(given.argmax(1), true)


def main() -> None:
    """Prints the figures beside what they must reach; exits with 1 when one is missed."""
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {what}", flush=True)

    missed = False
    try:
        fashion = measure_fashion()
        reached = fashion.value >= FLOOR
        say(f"{FASHION} test accuracy {fashion}  at least {FLOOR:.0%}  {'ok' if reached else 'MISSED'}")
        missed |= not reached
    except SourceUnavailable as error:
        say(f"{FASHION} is left out: {error}")
    try:
        missed |= not _games_shown(say, measure_games(measuring.served_graph(GAMES)))
    except SourceUnavailable as error:
        say(f"{GAMES} is left out: {error}")
    sys.exit(1 if missed else 0)


def _games_shown(say: Callable[[str], None], figures: GamesFigures) -> bool:
    best = max(figures.centroid.value, figures.cnn.value)
    reached = figures.transformer.value > best
    say(f"{GAMES} test accuracy {figures.transformer}  above both baselines  {'ok' if reached else 'MISSED'}")
    print(f"  nearest centroid {figures.centroid}, CNN vectors and linear {figures.cnn}")
    print(f"  without the {figures.repeated:.1%} that the fit had too: {figures.unseen}")
    print(figures.confusions)
    return reached


if __name__ == "__main__":
    main()
