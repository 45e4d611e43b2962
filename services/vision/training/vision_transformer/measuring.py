"""What the cards say of the Vision Transformers, measured on the served graphs; torch is not needed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import services.vision
from services.runtime.sources import DataSettings
from services.runtime.training.publish import cpu_session

MODELS = Path(services.vision.__file__).parent / "models"
CNN = "efficientnet-lite0"
CNN_SIDE = 224
_CENTROID_SIDE = 21
_BATCH = 50
# Weights of the penalty that are tried for the linear classifier on the network's vectors, on the validation part.
_INVERSE_PENALTIES = (0.01, 0.1)
_STEPS = 120

Pixels = NDArray[np.uint8]
Classes = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Accuracy:
    """Share of right first labels, and its standard error."""

    value: float
    error: float
    samples: int

    def __str__(self) -> str:
        return f"{self.value:.2%} ± {1.96 * self.error:.2%}"


@dataclass(frozen=True)
class Confusion:
    """How many pictures of one class were given another."""

    true: int
    given: int
    pictures: int


def served_graph(name: str) -> bytes:
    """Returns the committed graph of a model."""
    return (MODELS / name / "1" / "model.onnx").read_bytes()


def graph_answers(graph: bytes, pixels: Pixels) -> tuple[Floats, Floats]:
    """Returns what the graph answers to uint8[N, S, S, 3] (or [..., 1], shown as grey): probabilities, vectors."""
    session = cpu_session(graph)
    runs = [
        session.run(["probabilities", "vectors"], {"pixels": coloured(pixels[start : start + _BATCH])})
        for start in range(0, len(pixels), _BATCH)
    ]
    return np.concatenate([run[0] for run in runs]), np.concatenate([run[1] for run in runs])


def coloured(pixels: Pixels) -> Pixels:
    """Returns uint8[N, S, S, 3] pictures of grey or coloured ones."""
    return pixels if pixels.shape[3] == 3 else np.repeat(pixels, 3, axis=3)


def milliseconds(graph: bytes, side: int) -> float:
    """Returns the median processor time of one picture on one thread."""
    session, picture = cpu_session(graph), np.full((1, side, side, 3), 99, np.uint8)
    times: list[float] = []
    for _ in range(60):
        start = time.thread_time()
        session.run(None, {"pixels": picture})
        times.append(time.thread_time() - start)
    return float(np.median(times[10:]) * 1e3)


def accuracy(given: Classes, true: Classes, run: Classes | None = None) -> Accuracy:
    """Returns the accuracy; its error takes pictures of one `run` of play as likely to be wrong together.

    Cluster-robust standard error of a mean (Liang and Zeger 1986); without `run` each picture stands alone.
    """
    right = (given == true).astype(np.float64)
    groups = np.arange(len(right)) if run is None else run
    sums = np.bincount(groups, right - right.mean())
    return Accuracy(float(right.mean()), float(np.sqrt((sums**2).sum()) / len(right)), len(right))


def confusions(given: Classes, true: Classes, most: int) -> list[Confusion]:
    """Returns the pairs of classes that are confused most often, the largest first."""
    wrong = given != true
    pairs, counts = np.unique(np.stack([true[wrong], given[wrong]], 1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [Confusion(int(pairs[row, 0]), int(pairs[row, 1]), int(counts[row])) for row in order]


def confusion_table(found: Sequence[Confusion], labels: Sequence[str], pictures_a_class: int) -> str:
    """Returns a Markdown table."""
    rows = ["| is | taken for | pictures |", "|---|---|---|"]
    rows += [
        f"| {labels[each.true]} | {labels[each.given]} | {each.pictures} of {pictures_a_class} |" for each in found
    ]
    return "\n".join(rows)


def repeated_pictures(pixels: Pixels, seen: Pixels) -> NDArray[np.bool_]:
    """Returns bool[N]: which pictures are, pixel for pixel, among those of the fit."""
    known = {picture.tobytes() for picture in seen}
    return np.array([picture.tobytes() in known for picture in pixels])


def nearest_centroid(fit: Pixels, classes: Classes, asked: Pixels) -> Classes:
    """Returns the class whose mean picture is the most similar, at 21 × 21, each without its mean and of length one."""
    known, wanted = _small(fit), _small(asked)
    centroids = np.stack([known[classes == each].mean(0) for each in range(int(classes.max()) + 1)])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    return np.asarray((wanted @ centroids.T).argmax(1), np.int64)


def _small(pixels: Pixels) -> Floats:
    count, side = len(pixels), _CENTROID_SIDE
    step = pixels.shape[1] // side
    means = pixels.reshape(count, side, step, side, step, 3).mean((2, 4), dtype=np.float32).reshape(count, -1)
    means -= means.mean(1, keepdims=True)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(lengths, 1e-6), np.float32)


def linear_on_vectors(
    fit: Floats, classes: Classes, validation: Floats, validation_classes: Classes, asked: Floats
) -> Classes:
    """Returns what logistic regression on vectors gives; its penalty is chosen on the validation part."""
    scaler = StandardScaler().fit(fit)
    best: tuple[float, Any] = (-1.0, None)
    for inverse in _INVERSE_PENALTIES:
        classifier = LogisticRegression(C=inverse, max_iter=_STEPS).fit(scaler.transform(fit), classes)
        found = float(classifier.score(scaler.transform(validation), validation_classes))
        best = max(best, (found, classifier), key=lambda pair: pair[0])
    return np.asarray(best[1].predict(scaler.transform(asked)), np.int64)


def cnn_vectors(files: Sequence[bytes], shown: Callable[[bytes], Pixels], name: str) -> Floats:
    """Returns the image network's vectors float32[N, 1280], about 50 a second; kept in the data folder.

    Args:
        files: Encoded pictures.
        shown: Makes one of them uint8[1, 224, 224, 3].
        name: Of the set.
    """
    digest = hashlib.sha256(b"".join(files)).hexdigest()[:12]
    kept = DataSettings().data_directory / "training" / f"{CNN}-{name}-{digest}.npy"
    if not kept.exists():
        session = cpu_session(served_graph(CNN))
        vectors = np.concatenate([session.run(["vectors"], {"pixels": shown(file)})[0] for file in files])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors)
    return np.asarray(np.load(kept), np.float32)
