"""EfficientNet-Lite0 as an ONNX graph, written node by node from the original weights.

Architecture: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"; the Lite form
has no squeeze-and-excitation and ReLU6 in place of swish. Normalisation of the pixels is part of the graph, batch
normalisation is folded into the convolutions, and the pooled features leave the graph as vectors of length one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 224
CLASSES = 1_000
DIMENSIONS = 1_280
# The Lite networks were trained on (pixel - 127) / 128, not on ImageNet's mean and deviation.
PIXEL_MEAN, PIXEL_SCALE = 127.0, 1.0 / 128.0
BATCH_NORMALISATION_EPSILON = 1e-3
# The smallest tensors are the most sensitive ones (stem, first bottlenecks, depthwise kernels) and weigh little.
LEAST_COMPACT_SIZE = 6_000
# Opset 17 and its IR version 8 load everywhere; newer ones bring nothing that this network uses.
OPSET, IR_VERSION = 17, 8

Weights = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class Stage:
    """A run of inverted bottlenecks; only the first has the stride, the later ones add their input."""

    repeats: int
    kernel: int
    stride: int
    expansion: int


STAGES = (
    Stage(1, 3, 1, 1),
    Stage(2, 3, 2, 6),
    Stage(2, 5, 2, 6),
    Stage(3, 3, 2, 6),
    Stage(3, 5, 1, 6),
    Stage(4, 5, 2, 6),
    Stage(1, 3, 1, 6),
)


class GraphBuilder:
    """Collects nodes and weights; `value` is always the name of the latest tensor."""

    def __init__(self, weights: Weights, compact: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.value = "pixels"
        self.side = SIDE
        self._weights = weights
        self._compact = compact

    def add(self, operator: str, *inputs: str, output: str, **attributes: Any) -> str:
        """Appends one node and returns its output's name."""
        self.value = self._node(operator, *inputs, output=output, **attributes)
        return output

    def constant(self, name: str, values: np.ndarray[Any, Any]) -> str:
        """Stores a small tensor as it is."""
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def scalar(self, name: str, value: float) -> str:
        """Stores one float32."""
        return self.constant(name, np.array(value, dtype=np.float32))

    def weight(self, name: str, values: np.ndarray[Any, Any]) -> str:
        """Stores the weights of a layer, float[out, ...].

        In the compact form a large tensor is kept as int16 with one scale for each output channel, followed by the two
        operators that make it float32 again; the runtime folds them away when it loads, so a run costs the same.
        """
        if not self._compact or values.size < LEAST_COMPACT_SIZE:
            return self.constant(name, values.astype(np.float32))
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = (np.where(largest == 0, 1, largest) / np.iinfo(np.int16).max).astype(np.float32)
        steps = np.rint(values / scale.astype(np.float64)).astype(np.int16)
        steps_name = self.constant(f"{name}.steps", steps)
        self._node("Cast", steps_name, output=f"{name}.float", to=TensorProto.FLOAT)
        return self._node("Mul", f"{name}.float", self.constant(f"{name}.scale", scale), output=name)

    def convolution(self, name: str, layer: str, normalisation: str, stride: int = 1, activate: bool = True) -> None:
        """Appends a convolution with its batch normalisation folded in, and ReLU6 unless `activate` is false."""
        kernel = self._weights[f"{layer}.weight"].astype(np.float64)
        deviation = np.sqrt(
            self._weights[f"{normalisation}.running_var"].astype(np.float64) + BATCH_NORMALISATION_EPSILON
        )
        gain = self._weights[f"{normalisation}.weight"] / deviation
        bias = self._weights[f"{normalisation}.bias"] - self._weights[f"{normalisation}.running_mean"] * gain
        size = kernel.shape[-1]
        inputs = (
            self.value,
            self.weight(f"{name}.weight", kernel * gain[:, None, None, None]),
            self.constant(f"{name}.bias", bias.astype(np.float32)),
        )
        self.add(
            "Conv",
            *inputs,
            output=name,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=self._same_padding(size, stride),
            group=kernel.shape[0] if kernel.shape[1] == 1 else 1,
        )
        if activate:
            self.add("Clip", name, "zero", "six", output=f"{name}.relu6")

    def _node(self, operator: str, *inputs: str, output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def _same_padding(self, kernel: int, stride: int) -> list[int]:
        # TensorFlow's "same": the odd pixel of padding goes to the bottom and the right.
        output = -(-self.side // stride)
        total = max((output - 1) * stride + kernel - self.side, 0)
        self.side = output
        before, after = total // 2, total - total // 2
        return [before, before, after, after]


def build_graph(weights: Weights, compact: bool) -> onnx.ModelProto:
    """Returns the network as a checked ONNX model.

    Input `pixels` uint8[B, 224, 224, 3] (RGB). Outputs `probabilities` float32[B, 1000] (each row sums to one) and
    `vectors` float32[B, 1280] (pooled features, each row of length one).

    Args:
        weights: Tensors of the original checkpoint, by name.
        compact: Stores the large tensors in 16 bits a weight; the arithmetic stays float32.
    """
    graph = GraphBuilder(weights, compact)
    graph.scalar("zero", 0)
    graph.scalar("six", 6)
    graph.add("Transpose", graph.value, output="planes", perm=[0, 3, 1, 2])
    graph.add("Cast", graph.value, output="planes.float", to=TensorProto.FLOAT)
    graph.add("Sub", graph.value, graph.scalar("pixel_mean", PIXEL_MEAN), output="centred")
    graph.add("Mul", graph.value, graph.scalar("pixel_scale", PIXEL_SCALE), output="scaled")
    graph.convolution("stem", "_conv_stem", "_bn0", stride=2)
    block = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            _bottleneck(graph, block, stage, first=repeat == 0)
            block += 1
    graph.convolution("head", "_conv_head", "_bn1")
    graph.add("GlobalAveragePool", graph.value, output="pooled.planes")
    pooled = graph.add("Flatten", graph.value, output="pooled", axis=1)
    _add_vectors(graph, pooled)
    _add_probabilities(graph, weights, pooled)
    return _finish(graph)


def _bottleneck(graph: GraphBuilder, block: int, stage: Stage, first: bool) -> None:
    name, source, shortcut = f"block{block}", f"_blocks.{block}", graph.value
    if stage.expansion != 1:
        graph.convolution(f"{name}.expand", f"{source}._expand_conv", f"{source}._bn0")
    stride = stage.stride if first else 1
    graph.convolution(f"{name}.depthwise", f"{source}._depthwise_conv", f"{source}._bn1", stride=stride)
    graph.convolution(f"{name}.project", f"{source}._project_conv", f"{source}._bn2", activate=False)
    if not first:
        graph.add("Add", graph.value, shortcut, output=f"{name}.sum")


def _add_vectors(graph: GraphBuilder, pooled: str) -> None:
    length = graph.add("ReduceL2", pooled, output="length", axes=[1], keepdims=1)
    # Features are never negative but may all be zero; the zero vector then stays zero.
    length = graph.add("Max", length, graph.scalar("least_length", 1e-12), output="divisor")
    graph.add("Div", pooled, length, output="vectors")


def _add_probabilities(graph: GraphBuilder, weights: Weights, pooled: str) -> None:
    matrix = graph.weight("classifier.weight", weights["_fc.weight"])
    bias = graph.constant("classifier.bias", weights["_fc.bias"].astype(np.float32))
    logits = graph.add("Gemm", pooled, matrix, bias, output="logits", transB=1)
    graph.add("Softmax", logits, output="probabilities", axis=1)


def _finish(graph: GraphBuilder) -> onnx.ModelProto:
    outputs = (("probabilities", CLASSES), ("vectors", DIMENSIONS))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in outputs],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="marquee",
    )
    onnx.checker.check_model(model, full_check=True)
    return model
