from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import cpu_session
from services.vision.training.pretrained.published_graph import (
    compact_weights,
    finished,
    rename_outputs,
    replace_input,
    tidy,
)

KERNEL = np.random.default_rng(0).normal(size=(20, 3, 11, 11)).astype(np.float32)


def old_export() -> onnx.ModelProto:
    """A convolution as exporters of 2019 wrote it: weights among the inputs, one of them used by nothing."""
    unused = np.zeros(3, np.float32)
    weights = {"kernel": KERNEL, "num_batches_tracked": unused}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["0", "kernel"], ["1"], pads=[5, 5, 5, 5]),
            helper.make_node("Sigmoid", ["1"], ["2"]),
        ],
        "old",
        [
            helper.make_tensor_value_info("0", TensorProto.FLOAT, ["b", 3, 8, 8]),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in weights.items()),
        ],
        [helper.make_tensor_value_info("2", TensorProto.FLOAT, ["b", 20, 8, 8])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4)


def served(compact: bool) -> bytes:
    model = tidy(old_export())
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["values", "white"], ["parts"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", 8, 8, 3])
    replace_input(model, pixels, nodes, {"white": np.float32(255)})
    rename_outputs(model, {"2": helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 20, 8, 8])})
    if compact:
        compact_weights(model)
    return finished(model)


@pytest.mark.parametrize("compact", [False, True])
def test_the_graph_that_is_served_answers_like_the_published_one(compact: bool) -> None:
    pixels: np.ndarray[Any, Any] = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    planes = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    expected = cpu_session(old_export().SerializeToString()).run(None, {"0": planes})[0]
    session = cpu_session(served(compact))
    assert [value.name for value in session.get_inputs()] == ["pixels"]
    found = session.run(["scores"], {"pixels": pixels})[0]
    assert np.abs(found - expected).max() < (1e-3 if compact else 1e-6)


def test_sixteen_bits_a_weight_halve_the_file_and_nothing_unused_stays() -> None:
    large, small = served(compact=False), served(compact=True)
    assert len(small) < 0.55 * len(large)
    for graph in (large, small):
        model = onnx.load_from_string(graph)
        assert "num_batches_tracked" not in {tensor.name for tensor in model.graph.initializer}
        assert model.opset_import[0].version == 17
    stored = {tensor.name: tensor for tensor in onnx.load_from_string(small).graph.initializer}
    assert stored["kernel.steps"].data_type == TensorProto.INT16
    assert list(stored["kernel.scale"].dims) == [20, 1, 1, 1]
