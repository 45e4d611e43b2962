"""Measures `recurrent-gameplay-events` on play that no fit has seen: `python -m tests.quality.vision.events`.

Plays the test streams again, which takes about five minutes on one core. The Atari games need ale-py, a build-time
tool under the GPL that only the training environment has; without it the Doom scenarios are measured alone, against
their own figures in the card. `stack-of-4.onnx` is what the build fitted for comparison on the same data.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.runtime.training.publish import cpu_session
from services.vision.training.data.gameplay_clips import FRAMES_PER_SECOND, GAMES, Bytes, Clip, Floats, record
from services.vision.training.events.highlights import Usual, highlights, scales_of_text
from services.vision.training.events.measuring import Figures, figures, graph_answers
from services.vision.training.events.streams import PLAN

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "services" / "vision" / "models" / "recurrent-gameplay-events" / "1"
STACK_GRAPH = Path(__file__).parent / "stack-of-4.onnx"
STACK = 4
FLOOR, LEAST_GAIN = 0.50, 0.15
_STACKS_TOGETHER = 50


@dataclass(frozen=True)
class Measured:
    """What was measured: whether all games were, and the figures of both networks."""

    complete: bool
    recurrent: Figures
    stack: Figures

    @property
    def gain(self) -> float:
        """By how much 1 - AP is lower than on the stack."""
        return 1 - (1 - self.recurrent.mean) / (1 - self.stack.mean)


def measure(say: Callable[[str], None], most_seconds: int | None = None) -> Measured:
    """Plays and measures.

    Args:
        say: is told what goes on.
        most_seconds: of each stream; None takes all.
    """
    complete = importlib.util.find_spec("ale_py") is not None
    if not complete:
        say("the Atari games are left out: ale-py is in the training environment only (make training)")
    count, seconds = PLAN["test"]
    scales = scales_of_text((FOLDER / "highlight_scales.json").read_text(encoding="utf-8"))
    recurrent, stack = cpu_session(FOLDER / "model.onnx"), cpu_session(STACK_GRAPH)
    names, targets, answers, compared = [], [], [], []
    for name, game in GAMES.items():
        if game.emulator == "ale" and not complete:
            continue
        say(name)
        for number in range(count):
            clip = record(name, "test", min(seconds, most_seconds or seconds), number)
            names.append(name)
            targets.append(_targets(clip, scales[name]))
            answers.append(graph_answers(recurrent, clip.frames[None])[0])
            compared.append(_stack_answers(stack, clip.frames))
    wanted = np.stack(targets)
    return Measured(complete, figures(names, np.stack(answers), wanted), figures(names, np.stack(compared), wanted))


def _targets(clip: Clip, scale: Usual) -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.concatenate([clip.labels, highlights(clip.counts, scale)[:, None]], 1)


def _stack_answers(session: Any, frames: Bytes) -> Floats:
    last = frames.reshape(-1, FRAMES_PER_SECOND, *frames.shape[1:])[:, -STACK:]
    parts = [
        np.ascontiguousarray(last[start : start + _STACKS_TOGETHER]) for start in range(0, len(last), _STACKS_TOGETHER)
    ]
    return np.concatenate([session.run(["probabilities"], {"frames": part})[0] for part in parts])


def main() -> None:
    """Prints the figures beside their floors; exits with 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.vision.events", description=__doc__)
    parser.add_argument("--most", type=int, help="seconds of each stream at most (all)")
    options = parser.parse_args()
    begun = time.monotonic()
    measured = measure(lambda what: print(f"[{time.monotonic() - begun:5.0f} s] {what}", flush=True), options.most)
    for event, value in measured.recurrent.events.items():
        print(f"{event:12s} {value:.4f}   4-frame stack {measured.stack.events[event]:.4f}")
    rows = (
        ("mean of the five events", measured.recurrent.mean, FLOOR),
        ("1 - AP lower than on the stack by", measured.gain, LEAST_GAIN),
    )
    for what, value, floor in rows:
        print(f"{what:36s} {value:.4f}  at least {floor:.2f}  {'ok' if value >= floor else 'MISSED'}")
    if not measured.complete:
        print("(Doom scenarios only; the floors are about all games)")
    sys.exit(0 if all(value >= floor for _, value, floor in rows) else 1)


if __name__ == "__main__":
    main()
