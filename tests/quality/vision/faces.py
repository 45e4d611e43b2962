"""Measures the pretrained networks against their originals: `python -m tests.quality.vision.faces`.

Fetches the published files again and compares each committed graph with its own, on the committed photographs and
random parts of them. The reference of the expression network is torch, so this needs the environment that models are
built in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.vision.training.pretrained import centerface, mini_xception_version, open_nsfw

MODELS = Path(__file__).parents[3] / "services" / "vision" / "models"
FACES_SAME = "centerface: faces that the original finds, the same and no others"
FACES_OVERLAP = "centerface: least overlap of a face's boxes"
FACES_SCORE = "centerface: largest difference of a face's score"
COSINE = "mini-xception-expression: least cosine of the probabilities"
SAME_FIRST = "mini-xception-expression: equal first labels"
SCREENING = "open-nsfw: largest difference of the probability, same pixels"
SCREENING_WHOLE = "open-nsfw: largest difference of the probability, from the picture on"
FLOORS = {FACES_SAME: 1.0, FACES_OVERLAP: centerface.LEAST_OVERLAP, COSINE: mini_xception_version.LEAST_COSINE}
CEILINGS = {FACES_SCORE: 0.01, SCREENING: open_nsfw.LARGEST_DIFFERENCE, SCREENING_WHOLE: 0.01}


def measure(say: Callable[[str], None], parts: int = 4) -> dict[str, float]:
    """Returns the figures by name.

    Args:
        say: is told what goes on.
        parts: random parts of each photograph; the cards have 4 for faces, 40 for expressions and 12 for screening.
    """
    say(centerface.NAME)
    faces = centerface.measure(_graph(centerface.NAME), parts)
    say(mini_xception_version.NAME)
    expressions = mini_xception_version.measure(_graph(mini_xception_version.NAME), 10 * parts)
    say(open_nsfw.NAME)
    screening = open_nsfw.measure(_graph(open_nsfw.NAME), 3 * parts)
    return {
        FACES_SAME: faces.same / faces.faces,
        FACES_OVERLAP: faces.overlap,
        FACES_SCORE: faces.score,
        COSINE: expressions.cosine,
        SAME_FIRST: expressions.same_first,
        SCREENING: screening.graph,
        SCREENING_WHOLE: screening.pipeline,
    }


def main() -> None:
    """Prints the figures beside their floors; exits with 1 when one is missed."""
    begun = time.monotonic()
    figures = measure(lambda what: print(f"[{time.monotonic() - begun:5.0f} s] {what}", flush=True))
    missed = False
    for name, value in figures.items():
        note, bad = "", False
        if name in FLOORS:
            note, bad = f"at least {FLOORS[name]:g}", value < FLOORS[name]
        elif name in CEILINGS:
            note, bad = f"at most {CEILINGS[name]:g}", value > CEILINGS[name]
        missed |= bad
        print(f"{name:72s} {value:12.6f}  {note}{'  MISSED' if bad else ''}")
    sys.exit(1 if missed else 0)


def _graph(name: str) -> bytes:
    return (MODELS / name / "1" / "model.onnx").read_bytes()


if __name__ == "__main__":
    main()
