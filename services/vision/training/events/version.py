"""The version folder of `recurrent-gameplay-events`: play, fit, fit what it is compared with, export, measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from services.runtime.sources import DataSettings
from services.runtime.training.publish import cpu_session
from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, GAMES, HEIGHT, WIDTH, Floats, Labels
from services.vision.training.events import report
from services.vision.training.events.fitting import (
    fit_recurrent,
    fit_stack,
    recurrent_answers,
    stack_answers,
    targets_of,
)
from services.vision.training.events.graph import export, export_stack
from services.vision.training.events.highlights import scales, scales_as_text
from services.vision.training.events.measuring import Figures, base_rates, figures, graph_answers, only
from services.vision.training.events.networks import GRID, MEMORY, STACK, STATE_CHANNELS
from services.vision.training.events.streams import Streams, streams_of
from services.vision.training.version import LABELS_FILE, Version

NAME = "recurrent-gameplay-events"
SCALES_FILE = "highlight_scales.json"
# Beside the recordings; a copy is what `make quality` compares with.
STACK_FILE = f"stack-of-{STACK}.onnx"
EPOCHS = 4.5
# As long as both parts of the recurrent fit took on the machine that it was planned on; the first part is the stack's.
STACK_SECONDS, SHARED_SECONDS = 2300.0, 586.0
# Seconds of a Freedoom stream on which the graph is compared with the network it was exported from.
PARITY_SECONDS = 60
LARGEST_DIFFERENCE = 1e-3
FLOOR = 0.50
MANIFEST: dict[str, Any] = {
    "name": NAME,
    "version": "1",
    "task": "video-events",
    "description": "Tells second by second what happens in gameplay video, remembering what came before.",
    "license": "Apache-2.0",
    "source": "fitted on play recorded by the build: PyPI ale-py 0.12.1 (build only), PyPI vizdoom 1.3.2 (Freedoom)",
    "required": False,
    "inputs": [
        {"name": "frames", "datatype": "UINT8", "shape": [-1, FRAMES_PER_SECOND, HEIGHT, WIDTH, 3]},
        {"name": "state", "datatype": "FP32", "shape": [-1, STATE_CHANNELS, *GRID]},
    ],
    "outputs": [
        {"name": "events", "datatype": "FP32", "shape": [-1, len(EVENTS)]},
        {"name": "highlight", "datatype": "FP32", "shape": [-1]},
        {"name": "next_state", "datatype": "FP32", "shape": [-1, STATE_CHANNELS, *GRID]},
    ],
    "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
    "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
    "limits": {"height": HEIGHT, "width": WIDTH, "frames_per_second": FRAMES_PER_SECOND},
    "labels": LABELS_FILE,
    "golden": {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0},
            "CUDAExecutionProvider": {"max_difference": 0.02, "decision_flips": 1},
        }
    },
    "warmup_runs": 2,
}


def build_gameplay_events() -> Version:
    """Plays, fits and measures; recordings and fits that the data folder keeps are used again.

    Raises:
        ImportError: an emulator is missing.
    """
    folder = DataSettings().data_directory / "training" / NAME
    training = streams_of("train", folder)
    half_way = folder / "warm.pt"
    stack = fit_stack(training, STACK_SECONDS, STACK, folder / f"stack{STACK}.pt", (SHARED_SECONDS, half_way))
    recurrent = fit_recurrent(training, EPOCHS, folder / "recurrent.pt", half_way)
    (folder / STACK_FILE).write_bytes(export_stack(stack.network).SerializeToString(deterministic=True))
    graph = export(recurrent.network).SerializeToString(deterministic=True)

    test = streams_of("test", folder)
    targets = targets_of(test, training)
    session = cpu_session(graph)
    answers = {
        report.SERVED: graph_answers(session, test.frames),
        report.CLEARED: graph_answers(session, test.frames, forget=MEMORY),
        report.STACKED: np.stack([stack_answers(stack.network, frames) for frames in test.frames]),
        report.TWICE: np.stack([stack_answers(stack.network, frames, both_halves=True) for frames in test.frames]),
        report.BASE: base_rates(test.names, training.names, targets_of(training, training), targets.shape[1]),
    }
    measured = {name: figures(test.names, each, targets) for name, each in answers.items()}
    parts = {
        part: _of_games(test.names, answers, targets, emulator)
        for part, emulator in (("Atari games", "ale"), ("Doom scenarios", "vizdoom"))
    }
    served, stacked = measured[report.SERVED], measured[report.STACKED]
    gain = 1 - (1 - served.mean) / (1 - stacked.mean)
    seconds = {"recurrent": recurrent.seconds, "stack": stack.seconds}
    sample = test.frames[test.names.index("deathmatch")][: PARITY_SECONDS * FRAMES_PER_SECOND]
    difference = float(
        np.abs(graph_answers(session, sample[None])[0] - recurrent_answers(recurrent.network, sample)).max()
    )
    return Version(
        MANIFEST,
        graph,
        {
            LABELS_FILE: ("\n".join(EVENTS) + "\n").encode(),
            SCALES_FILE: scales_as_text(scales(training.names, training.counts)).encode(),
        },
        _golden_cases(session, streams_of("validation", folder)),
        report.render_card(
            measured, parts, targets, test.names, seconds, difference, len(graph), report.speed(session)
        ),
        served.mean >= FLOOR and gain > 0 and difference <= LARGEST_DIFFERENCE,
        f"mean average precision {served.mean:.4f}, on {STACK} frames {stacked.mean:.4f}: {gain:.0%} of the way to 1",
    )


def _of_games(
    names: Sequence[str], answers: Mapping[str, Floats], targets: Labels, emulator: str
) -> Mapping[str, Figures]:
    rows = only(names, [name for name, game in GAMES.items() if game.emulator == emulator])
    wanted = [name for name, row in zip(names, rows, strict=True) if row]
    return {name: figures(wanted, each[rows], targets[rows]) for name, each in answers.items()}


def _golden_cases(session: Any, streams: Streams) -> list[Mapping[str, np.ndarray[Any, Any]]]:
    """Freedoom only: the first second of a stream, and a later second of three streams with what they remember."""
    rows = [streams.names.index(name) for name in ("defend_the_line", "deathmatch", "take_cover")]
    frames = streams.frames[rows]
    state = np.zeros((len(rows), STATE_CHANNELS, *GRID), np.float32)
    cases: list[Mapping[str, np.ndarray[Any, Any]]] = [
        {"frames": frames[:1, :FRAMES_PER_SECOND].copy(), "state": state[:1]}
    ]
    for second in range(12):
        start = second * FRAMES_PER_SECOND
        cases[1:] = [{"frames": frames[:, start : start + FRAMES_PER_SECOND].copy(), "state": state}]
        (state,) = session.run(["next_state"], cases[-1])
    return cases
