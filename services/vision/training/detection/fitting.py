"""Fits a detector on features of a frozen backbone, then for a short while with the backbone's last stages.

    python -m services.vision.training.detection.fitting {detr,cnn} FRAMES OUTPUT [--frozen-steps N] [--whole-steps N]

`FRAMES` is a folder of `doom_frames`. The features are computed once and kept in 16 bits, so that a step costs only
what is behind them. The weights that are kept are a running mean of the last steps' (Polyak and Juditsky 1992), which
is worth more than the noise of a short fit.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.runtime.training.publish import cpu_session
from services.vision.training.data.doom_frames import LABELS, Frame
from services.vision.training.detection.average_precision import Answers, average_precisions
from services.vision.training.detection.backbone import STRIDES
from services.vision.training.detection.convolutional import ConvolutionalDetector
from services.vision.training.detection.frames import HEIGHT, WIDTH, objects_of, read, stretch
from services.vision.training.detection.network import Detector

NETWORKS: dict[str, Any] = {"detr": Detector, "cnn": ConvolutionalDetector}
FROZEN_FILE, WEIGHTS_FILE, HISTORY_FILE = "frozen.pt", "weights.pt", "history.json"
BATCH = 8
FROZEN_STEPS, WHOLE_STEPS = 1_350, 2_000
HIGHEST_RATE, WHOLE_RATE, BACKBONE_RATE = 8e-4, 5e-4, 2e-4
WARM_UP_STEPS = 100
FALLING_PART = 0.35
WEIGHT_DECAY = 1e-4
LARGEST_GRADIENT = 1.0
MEAN_DECAY = 0.995
# Stages of the backbone from here on are fitted in the end; edges and colours before them are those of any picture.
FIRST_FITTED_STAGE = 3
SEED = 0
_EVALUATE_EVERY, _REPORT_EVERY = 400, 50
_FEATURE_BATCH = 16


def features_of(network: Any, frames: Sequence[Frame], folder: Path) -> list[Any]:
    """Returns the backbone's four features of all frames, float16; they are kept in `folder` for the next fit.

    ONNX Runtime computes them, which takes it a third of torch's time.
    """
    files = [folder / f"features-{stride}.npy" for stride in STRIDES]
    if not files[-1].exists():
        session = cpu_session(_backbone_graph(network.backbone))
        batches: list[list[Any]] = [[] for _ in STRIDES]
        for frame in frames:
            for level, values in enumerate(session.run(None, {"pixels": stretch(frame.pixels)[None]})):
                batches[level].append(values.astype(np.float16))
        for file, parts in zip(files, batches, strict=True):
            np.save(file, np.concatenate(parts))
    return [torch.from_numpy(np.load(file)) for file in files]


def _backbone_graph(backbone: Any) -> bytes:
    buffer = io.BytesIO()
    pixels = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    torch.onnx.export(backbone, (pixels,), buffer, dynamo=False, input_names=["pixels"], opset_version=17)
    return buffer.getvalue()


def targets_of(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """Returns `class_labels` int64[N] and `boxes` float32[N, 4] (centre, width, height) of each frame."""
    targets = []
    for frame in frames:
        boxes = torch.from_numpy(np.array(frame.boxes))
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        targets.append(
            {"class_labels": torch.from_numpy(np.array(frame.classes)), "boxes": torch.cat([centres, sizes], 1)}
        )
    return targets


def measure(network: Any, features: Sequence[Any], frames: Sequence[Frame]) -> tuple[float, float]:
    """Returns the mean average precision at IoU .50, and over .50 to .95."""
    network.eval()
    answers: list[Answers] = []
    with torch.inference_mode():
        for start in range(0, len(frames), _FEATURE_BATCH):
            batch = [level[start : start + _FEATURE_BATCH].float() for level in features]
            answers += network.detections(batch)
    network.train()
    table = average_precisions([objects_of(frame) for frame in frames], answers, len(LABELS))
    return float(np.nanmean(table[:, 0])), float(np.nanmean(table))


def rate_share(step: int, steps: int) -> float:
    """Returns the part of the highest rate at a step: up, level, and down to nothing over the last part of the fit."""
    return min((step + 1) / WARM_UP_STEPS, (steps - step) / (FALLING_PART * steps), 1.0)


class Mean:
    """A running mean of a network's weights."""

    def __init__(self, network: Any) -> None:
        self.network = copy.deepcopy(network).eval()
        self._steps = 0

    def follow(self, network: Any) -> None:
        """Moves the mean a little towards the weights as they are now."""
        self._steps += 1
        decay = min(MEAN_DECAY, self._steps / (self._steps + 10))
        with torch.no_grad():
            for mean, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)


class Fit:
    """One fit: its network, its data and what it has cost."""

    def __init__(self, name: str, frames: Path, output: Path) -> None:
        torch.manual_seed(SEED)
        torch.set_num_threads(1)
        self.random = np.random.default_rng(SEED)
        self.network = NETWORKS[name](len(LABELS))
        self.mean = Mean(self.network)
        self.frames, self.output = frames, output
        output.mkdir(parents=True, exist_ok=True)
        self.training, self.validation = read(frames / "training"), read(frames / "validation")
        self.targets = targets_of(self.training)
        self.history: list[dict[str, float]] = []
        self.steps = 0
        self.seconds_before = 0.0

    def run(self, frozen_steps: int = FROZEN_STEPS, whole_steps: int = WHOLE_STEPS) -> None:
        """Fits in two parts and writes `weights.pt`; a fit that ended after its first part goes on from there."""
        cached = features_of(self.network, self.training, self.frames / "training")
        validation = features_of(self.network, self.validation, self.frames / "validation")
        print(f"{len(self.training)} frames, {time.process_time():.0f} s of processor for their features", flush=True)
        head = [value for name, value in self.network.named_parameters() if not name.startswith("backbone.")]
        frozen = self.output / FROZEN_FILE
        if frozen.exists():
            self.steps = frozen_steps
            self.history = json.loads((self.output / HISTORY_FILE).read_text(encoding="utf-8"))
            self.seconds_before = self.history[-1]["seconds"]
        else:
            self._part(
                [{"params": head, "lr": HIGHEST_RATE}],
                frozen_steps,
                lambda rows: [level[rows].float() for level in cached],
                validation,
            )
            torch.save(self.mean.network.state_dict(), frozen)
        self.network.load_state_dict(torch.load(frozen, weights_only=True))
        self.mean = Mean(self.network)
        fitted = list(self.network.backbone.stages[FIRST_FITTED_STAGE:].parameters())
        self._part(
            [{"params": head, "lr": WHOLE_RATE}, {"params": fitted, "lr": BACKBONE_RATE}],
            whole_steps,
            # The stages before the fitted ones need not be run again: their output is the feature at stride 8.
            lambda rows: self.network.backbone.continued(cached[0][rows].float(), cached[1][rows].float()),
            validation,
        )
        torch.save(self.mean.network.state_dict(), self.output / WEIGHTS_FILE)

    def _part(self, groups: list[dict[str, Any]], steps: int, features: Any, validation: Any) -> None:
        highest = [group["lr"] for group in groups]
        optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY)
        fitted = [value for group in groups for value in group["params"]]
        self.network.train()
        order: list[int] = []
        losses: list[float] = []
        for step in range(steps):
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = rate * rate_share(step, steps)
            if len(order) < BATCH:
                order = list(self.random.permutation(len(self.training)))
            rows, order = order[:BATCH], order[BATCH:]
            loss = self.network.loss(features(rows), [self.targets[row] for row in rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(fitted, LARGEST_GRADIENT)
            optimizer.step()
            self.mean.follow(self.network)
            self.steps += 1
            losses.append(float(loss.detach()))
            if self.steps % _REPORT_EVERY == 0:
                print(f"{self.steps} {np.mean(losses[-50:]):.3f} {time.process_time():.0f} s", flush=True)
            if self.steps % _EVALUATE_EVERY == 0 or step == steps - 1:
                self._checkpoint(len(groups) > 1, validation)

    def _checkpoint(self, whole: bool, validation: Any) -> None:
        started = time.process_time()
        network = self.mean.network
        now = [[], [], [], []] if whole else validation
        if whole:
            with torch.inference_mode():
                parts = [
                    network.backbone.continued(
                        validation[0][start : start + 16].float(), validation[1][start : start + 16].float()
                    )
                    for start in range(0, len(self.validation), 16)
                ]
            now = [torch.cat([part[level] for part in parts]) for level in range(4)]
        half, ten = measure(network, now, self.validation)
        network.eval()
        self.history.append(
            {
                "steps": self.steps,
                "seconds": self.seconds_before + started,
                "map50": half,
                "map": ten,
                "measuring": time.process_time() - started,
            }
        )
        print(f"validation {self.history[-1]}", flush=True)
        torch.save(network.state_dict(), self.output / f"weights-{self.steps}.pt")
        (self.output / HISTORY_FILE).write_text(json.dumps(self.history, indent=1))


def main() -> None:
    """Runs one fit."""
    parser = argparse.ArgumentParser(prog="python -m services.vision.training.detection.fitting", description=__doc__)
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("frames", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--frozen-steps", type=int, default=FROZEN_STEPS)
    parser.add_argument("--whole-steps", type=int, default=WHOLE_STEPS)
    options = parser.parse_args()
    Fit(options.network, options.frames, options.output).run(options.frozen_steps, options.whole_steps)


if __name__ == "__main__":
    main()
