"""A recurrent events model of a kilobyte. Its memory fades by half each second and takes in the second's brightness, so
that each answer tells of all seconds before: a stream that loses or mixes up states answers differently.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import publish_version
from tests.support.dummy_model import IR_VERSION, OPSET

NAME = "dummy-events"
HEIGHT, WIDTH, RATE, STATE = 24, 32, 4, 3


def write_events_model(root: Path, name: str = NAME, version: str = "1", **manifest: Any) -> Path:
    """Write `<root>/<name>/<version>/` and return it; `manifest` replaces entries of model.yaml."""
    frames = [-1, RATE, HEIGHT, WIDTH, 3]
    document = {
        "name": name,
        "version": version,
        "task": "video-events",
        "description": "Fading brightness, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "inputs": [
            {"name": "frames", "datatype": "UINT8", "shape": frames},
            {"name": "state", "datatype": "FP32", "shape": [-1, STATE]},
        ],
        "outputs": [
            {"name": "events", "datatype": "FP32", "shape": [-1, 5]},
            {"name": "highlight", "datatype": "FP32", "shape": [-1]},
            {"name": "next_state", "datatype": "FP32", "shape": [-1, STATE]},
        ],
        "batching": {"max_batch": 8, "cost_unit": "rows"},
        "limits": {"height": HEIGHT, "width": WIDTH, "frames_per_second": RATE},
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001}}},
        **manifest,
    }
    case: dict[str, numpy.typing.NDArray[Any]] = {
        "frames": numpy.full((1, RATE, HEIGHT, WIDTH, 3), 90, numpy.uint8),
        "state": numpy.full((1, STATE), 0.25, numpy.float32),
    }
    return publish_version(root / name / version, document, events_graph(), {}, [case], f"# {name}\n").parent


def events_graph() -> onnx.ModelProto:
    """Return the graph: next_state = state / 2 + brightness of red, green and blue / 2; highlight is its mean."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["means", "double_white"], ["taken"]),
        helper.make_node("Mul", ["state", "half"], ["kept"]),
        helper.make_node("Add", ["taken", "kept"], ["next_state"]),
        helper.make_node("ReduceMean", ["next_state"], ["highlight"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["next_state", "spread"], ["events"]),
    ]
    spread = numpy.zeros((STATE, 5), numpy.float32)
    spread[[0, 1, 2, 0, 1], range(5)] = 1
    constants = {
        "double_white": numpy.array(510, numpy.float32),
        "half": numpy.array(0.5, numpy.float32),
        "spread": spread,
    }
    graph = helper.make_graph(
        nodes,
        "events",
        [
            helper.make_tensor_value_info("frames", TensorProto.UINT8, ["batch", RATE, HEIGHT, WIDTH, 3]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", STATE]),
        ],
        [
            helper.make_tensor_value_info("events", TensorProto.FLOAT, ["batch", 5]),
            helper.make_tensor_value_info("highlight", TensorProto.FLOAT, ["batch"]),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, ["batch", STATE]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
