"""A detector of two kilobytes: what is bright in each quarter of a picture is an object of that colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import publish_version
from tests.support.dummy_model import IR_VERSION, OPSET

NAME = "dummy-boxes"
LABELS = ("red", "green", "blue")
SIDE = 32
_HALF = SIDE // 2
BOXES = ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.25, 0.5), (-0.25, 0.5, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0))
"""Of the four queries: left, top, right, bottom; as of real detectors, some reach beyond the picture."""


def write_detector(root: Path, name: str = NAME, **manifest: Any) -> Path:
    """Write `<root>/<name>/1/` and return it; `manifest` replaces entries of model.yaml."""
    document = {
        "name": name,
        "version": "1",
        "task": "object-detection",
        "description": "Colours of the four quarters, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "required": False,
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}],
        "outputs": [
            {"name": "scores", "datatype": "FP32", "shape": [-1, len(BOXES), len(LABELS)]},
            {"name": "boxes", "datatype": "FP32", "shape": [-1, len(BOXES), 4]},
        ],
        "batching": {"max_batch": 2, "cost_unit": "pixels"},
        "placement": {"prepare": "thread"},
        "limits": {"height": SIDE, "width": SIDE},
        "labels": "labels.txt",
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001}}},
        **manifest,
    }
    case = {"pixels": numpy.full((1, SIDE, SIDE, 3), [200, 30, 10], numpy.uint8)}
    labels = {"labels.txt": "\n".join(LABELS).encode()}
    return publish_version(root / name / "1", document, quarter_graph(), labels, [case], f"# {name}\n").parent


def quarter_graph() -> onnx.ModelProto:
    """Return the graph: the score of a colour in a quarter is its brightness there, 0 to 1."""
    cells = [-1, 2, _HALF, 2, _HALF, 3]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["values", "cells"], ["quarters"]),
        helper.make_node("ReduceMean", ["quarters"], ["means"], axes=[2, 4], keepdims=0),
        helper.make_node("Reshape", ["means", "queries"], ["brightness"]),
        helper.make_node("Div", ["brightness", "bright"], ["unbounded"]),
        helper.make_node("Min", ["unbounded", "one"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("ReduceMean", ["nothing"], ["zeros"], axes=[2], keepdims=1),
        helper.make_node("Add", ["zeros", "places"], ["boxes"]),
    ]
    constants: dict[str, Any] = {
        "cells": numpy.array(cells, numpy.int64),
        "queries": numpy.array([-1, len(BOXES), 3], numpy.int64),
        # Below 255, since scaling a picture blurs the borders of its quarters.
        "bright": numpy.array(240, numpy.float32),
        "one": numpy.array(1, numpy.float32),
        "zero": numpy.array(0, numpy.float32),
        "places": numpy.array([BOXES], numpy.float32),
    }
    graph = helper.make_graph(
        nodes,
        "quarters",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(BOXES), len(LABELS)]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", len(BOXES), 4]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
