"""The version folder of `vit-atari-games`: fit, export, measure beside two baselines."""

from __future__ import annotations

import numpy as np

from services.vision.training import speed
from services.vision.training.data.atari_screenshots import SIDE, game_names
from services.vision.training.version import Version
from services.vision.training.vision_transformer import games, measuring
from services.vision.training.vision_transformer.fitting import answers
from services.vision.training.vision_transformer.games_measured import measure_games, test_runs
from services.vision.training.vision_transformer.graph import compact, export
from services.vision.training.vision_transformer.manifest import finished
from services.vision.training.vision_transformer.measuring import Pixels


def build_games() -> Version:
    """Collects screenshots (five minutes of one core), fits (four), exports, measures (four).

    Raises:
        SourceUnavailable: ale-py is not installed, or in another version.
    """
    network, chosen_on = games.fitted()
    served = compact(export(network))
    figures = measure_games(served)
    test = games.pictures("test")
    given, _ = measuring.graph_answers(served, test.pixels)
    original, _ = answers(network, test.pixels)
    before = measuring.accuracy(original.argmax(1), test.classes, test_runs())
    names = game_names()
    fields = {
        "games": len(names),
        "verdict": "reached"
        if figures.transformer.value > max(figures.centroid.value, figures.cnn.value)
        else "MISSED",
        "figures": figures,
        "validation": chosen_on,
        "before": before,
        "difference": float(np.abs(given - original).max()),
        "changed": int((given.argmax(1) != original.argmax(1)).sum()),
        "milliseconds": measuring.milliseconds(served, SIDE),
        "hardware": speed.hardware(),
    }
    return finished(
        games.NAME,
        network,
        served,
        {
            "description": f"Names the game of a screenshot, one of {len(names)} Atari 2600 games, and gives a vector.",
            "license": "Apache-2.0",
            "source": "fitted on screenshots played with PyPI ale-py 0.12.1, none of which is kept",
        },
        names,
        [{"pixels": _patterns()[:1]}, {"pixels": _patterns()[1:]}],
        fields,
        figures.transformer.value >= before.value - 0.01,
        f"test accuracy {figures.transformer}, nearest centroid {figures.centroid}, CNN and linear {figures.cnn}",
    )


def _patterns() -> Pixels:
    """Returns uint8[4, 84, 84, 3]: blocks of colour and stripes, so that no picture of a game is kept."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (4, 7, 7, 3)).repeat(12, axis=1).repeat(12, axis=2)
    blocks[1::2, ::3] = 0
    return np.asarray(blocks, np.uint8)
