"""A model whose weights lie in a file of their own beside the graph, of any size: zeros that take no room on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import publish_version

NAME = "large-vectors"
DIMENSIONS = 256
DATA_FILE = "model.onnx.data"
ROW_BYTES = 4 * DIMENSIONS
TOLERANCE: dict[str, Any] = {"CPUExecutionProvider": {"max_difference": 0.0}}


def write_large_model(root: Path, data_bytes: int) -> Path:
    """Write `<root>/large-vectors/1/` with a table of that many bytes, all rows zero but the last, and return it.

    The graph looks rows up: int64[B, T] numbers in, float32[B, 256] sums out.
    """
    folder = root / NAME / "1"
    folder.mkdir(parents=True)
    rows = data_bytes // ROW_BYTES
    scratch = folder / "weights.partial"
    with scratch.open("wb") as file:
        file.truncate((rows - 1) * ROW_BYTES)
        file.seek(0, 2)
        file.write(numpy.arange(DIMENSIONS, dtype="<f4").tobytes())
    manifest = {
        "name": NAME,
        "version": "1",
        "task": "rows",
        "description": "Rows of a large table, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "required": False,
        "inputs": [{"name": "rows", "datatype": "INT64", "shape": [-1, -1]}],
        "outputs": [{"name": "sums", "datatype": "FP32", "shape": [-1, DIMENSIONS]}],
        "golden": {"tolerance": TOLERANCE},
    }
    case = {"rows": numpy.array([[0, rows - 1]], numpy.int64)}
    files: dict[str, bytes | Path] = {DATA_FILE: scratch}
    publish_version(folder, manifest, _graph(rows), files, [case], "# Large\n", largest_file_bytes=None)
    return folder


def _graph(rows: int) -> onnx.ModelProto:
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[rows, DIMENSIONS])
    table.data_location = TensorProto.EXTERNAL
    for key, value in {"location": DATA_FILE, "offset": "0", "length": str(rows * ROW_BYTES)}.items():
        table.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Gather", ["table", "rows"], ["found"]),
        helper.make_node("ReduceSum", ["found", "axis"], ["sums"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info("rows", TensorProto.INT64, ["batch", "count"])],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["batch", DIMENSIONS])],
        [table, numpy_helper.from_array(numpy.array([1]), "axis")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
