"""A graph and its large constants apart, so that weights of any size are changed one by one and never all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

DATA_FILE = "model.onnx.data"
# Pages of every system that ONNX Runtime maps files on.
_ALIGNMENT = 65_536
Array = NDArray[Any]


@dataclass(frozen=True)
class Weight:
    """One large constant.

    Attributes:
        data_type: as ONNX numbers it.
        shape: its axes.
        read: returns its values; may compute them each time.
    """

    data_type: int
    shape: tuple[int, ...]
    read: Callable[[], Array]

    @property
    def size_bytes(self) -> int:
        """Size in a file."""
        return int(np.prod(self.shape, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(self.data_type).itemsize

    def map(self, data_type: int, shape: tuple[int, ...], change: Callable[[Array], Array]) -> Weight:
        """Return what `change` makes of it."""
        return Weight(data_type, shape, lambda: change(self.read()))


@dataclass(frozen=True)
class WeightedGraph:
    """A model without its large constants, and those by name."""

    model: onnx.ModelProto
    weights: Mapping[str, Weight]

    @property
    def size_bytes(self) -> int:
        """Size of all weights in a file."""
        return sum(weight.size_bytes for weight in self.weights.values())

    def write(
        self, folder: Path, embedded_bytes: int, advance: Callable[[int], None] = lambda count: None
    ) -> tuple[bytes, dict[str, Path]]:
        """Return the graph's bytes, and the file of weights beside it by name when they are too many to be within.

        Args:
            folder: where that file is written.
            embedded_bytes: most bytes of weights within the graph.
            advance: told how many more bytes are written.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        if self.size_bytes <= embedded_bytes:
            for name, weight in self.weights.items():
                entry = _entry(name, weight)
                entry.raw_data = _bytes(weight).tobytes()
                model.graph.initializer.append(entry)
                advance(weight.size_bytes)
            return model.SerializeToString(deterministic=True), {}
        path = folder / DATA_FILE
        with path.open("wb") as file:
            for name, weight in self.weights.items():
                file.seek(-file.tell() % _ALIGNMENT, 1)
                entry = _entry(name, weight)
                entry.data_location = TensorProto.EXTERNAL
                place = {"location": DATA_FILE, "offset": str(file.tell()), "length": str(weight.size_bytes)}
                for key, value in place.items():
                    entry.external_data.add(key=key, value=value)
                file.write(_bytes(weight).data)
                model.graph.initializer.append(entry)
                advance(weight.size_bytes)
        return model.SerializeToString(deterministic=True), {DATA_FILE: path}


def fold_transposes(graph: WeightedGraph) -> WeightedGraph:
    """Return the graph with weights stored the way they are multiplied, instead of turned at every load."""
    weights, nodes = dict(graph.weights), []
    for node in graph.model.graph.node:
        turned = weights.get(node.input[0]) if node.op_type == "Transpose" and node.input else None
        if turned is None or len(turned.shape) != 2:
            nodes.append(node)
        else:
            weights[node.output[0]] = turned.map(turned.data_type, turned.shape[::-1], np.transpose)
    return rebuilt(graph, nodes, weights)


def rebuilt(graph: WeightedGraph, nodes: list[onnx.NodeProto], weights: Mapping[str, Weight]) -> WeightedGraph:
    """Return the graph with other nodes and weights; those that no node reads are left out."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    return WeightedGraph(model, {name: weight for name, weight in weights.items() if name in used})


def readers(graph: WeightedGraph) -> Iterator[tuple[onnx.NodeProto, list[str]]]:
    """Yield each node and the names of the weights that it reads."""
    for node in graph.model.graph.node:
        yield node, [name for name in node.input if name in graph.weights]


def _entry(name: str, weight: Weight) -> TensorProto:
    return TensorProto(name=name, data_type=weight.data_type, dims=weight.shape)


def _bytes(weight: Weight) -> Array:
    values = np.ascontiguousarray(weight.read(), helper.tensor_dtype_to_np_dtype(weight.data_type))
    if values.shape != weight.shape:
        raise ValueError(f"a weight of shape {weight.shape} has values of shape {values.shape}")
    return values
