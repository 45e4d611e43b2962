"""Rebuilds the committed models of the classical family: `python -m services.classical.training [--output DIRECTORY]`.

Fetches the purchases at CDNOW and MovieLens-100K, fits what says whether, when and for how much users come back by
gradient descent, support vector machine and random forest, compares them with each other and with BG/NBD on users
that no fit has seen, prints the tables, and writes the version folders with their cards. Takes about a minute; the
same machine gives the same figures again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from services.classical.training.behaviour.comparison import UNITS, compare, table
from services.classical.training.behaviour.logs import load_cdnow, load_movielens
from services.classical.training.behaviour.publishing import publish_all

MODELS = Path(__file__).resolve().parents[1] / "models"


def main() -> None:
    """Fits, compares, publishes; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m services.classical.training", description=__doc__)
    parser.add_argument("--output", type=Path, default=MODELS, help="model repository to write into (%(default)s)")
    parser.add_argument("--no-output", action="store_true", help="only print the tables")
    options = parser.parse_args()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {text}", flush=True)

    say("reading the logs")
    found = compare(load_cdnow(), load_movielens(), say)
    for task, unit in UNITS.items():
        print(f"\n{task}: {unit}\n\n{table(found.figures, task)}", flush=True)
    if not options.no_output:
        publish_all(found, options.output)
        say(f"{sum(map(len, found.models.values())) + 1} models written")


if __name__ == "__main__":
    main()
