"""A picture model of two kilobytes that names the strongest of the three colours: a red picture is "red"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import publish_version
from tests.support.dummy_model import IR_VERSION, OPSET

NAME = "dummy-colours"
LABELS = ("red", "green", "blue")
SIDE = 32


def write_image_model(root: Path, name: str = NAME, **manifest: Any) -> Path:
    """Write `<root>/<name>/1/` and return it; `manifest` replaces entries of model.yaml."""
    document = {
        "name": name,
        "version": "1",
        "task": "image-recognition",
        "description": "Strongest colour, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]},
            {"name": "vectors", "datatype": "FP32", "shape": [-1, 3]},
        ],
        "batching": {"max_batch": 2, "cost_unit": "pixels"},
        "placement": {"prepare": "thread"},
        "limits": {"side": SIDE, "resize_side": SIDE + 4},
        "labels": "labels.txt",
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001}}},
        **manifest,
    }
    case = {"pixels": numpy.full((1, SIDE, SIDE, 3), [200, 30, 10], numpy.uint8)}
    labels = {"labels.txt": "\n".join(LABELS).encode()}
    return publish_version(root / name / "1", document, colour_graph(), labels, [case], f"# {name}\n").parent


def colour_graph() -> onnx.ModelProto:
    """Return the graph: uint8[B, 32, 32, 3] in; probabilities float32[B, 3] and unit vectors float32[B, 3] out."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("Div", ["means", "scale"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceL2", ["means"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["safe_length"]),
        helper.make_node("Div", ["means", "safe_length"], ["vectors"]),
    ]
    constants: dict[str, numpy.typing.NDArray[Any]] = {
        "scale": numpy.array(50, numpy.float32),
        "tiny": numpy.array(1e-9, numpy.float32),
    }
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(LABELS)]),
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", 3]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
