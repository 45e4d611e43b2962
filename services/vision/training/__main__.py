"""Rebuilds the committed vision models: `python -m services.vision.training [name ...] [--output DIRECTORY]`.

Fits or fetches the weights, exports, measures against what each card promises, writes the version folders, and prints
one line a model. Exits with status 1 when a model misses its limits; that model is not written.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from services.runtime.training.publish import publish_version
from services.vision.training.detection.doom_version import build_doom_detector
from services.vision.training.efficientnet_lite_version import build_efficientnet_lite
from services.vision.training.events.version import build_gameplay_events
from services.vision.training.pretrained.centerface import build_centerface
from services.vision.training.pretrained.mini_xception_version import build_mini_xception
from services.vision.training.pretrained.open_nsfw import build_open_nsfw
from services.vision.training.version import Version
from services.vision.training.vision_transformer.fashion_version import build_fashion
from services.vision.training.vision_transformer.games_version import build_games

MODELS = Path(__file__).resolve().parents[1] / "models"
BUILDERS: Mapping[str, Callable[[], Version]] = {
    "centerface": build_centerface,
    "efficientnet-lite0": build_efficientnet_lite,
    "mini-xception-expression": build_mini_xception,
    "open-nsfw": build_open_nsfw,
    "doom-detector": build_doom_detector,
    "recurrent-gameplay-events": build_gameplay_events,
    "vit-atari-games": build_games,
    "vit-fashion-mnist": build_fashion,
}


def main() -> None:
    """Builds the chosen models; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m services.vision.training", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(BUILDERS)}; all when none is named")
    parser.add_argument("--output", type=Path, default=MODELS, help="model repository to write into (%(default)s)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BUILDERS]
    if unknown:
        parser.error(f"no model {unknown[0]!r}; there are: {', '.join(BUILDERS)}")
    warnings.filterwarnings("ignore", module="(torch|copyreg)")
    passed = True
    for name in options.names or BUILDERS:
        version = BUILDERS[name]()
        print(f"{name:26s} {version.summary}  {'passed' if version.passed else 'FAILED'}", flush=True)
        passed &= version.passed
        if version.passed:
            folder = options.output / name / str(version.manifest["version"])
            publish_version(folder, version.manifest, version.graph, version.files, version.golden_cases, version.card)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
