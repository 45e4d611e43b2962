"""Graphs that fail in the middle of a run, for inputs that a test chooses."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.dummy_model import edit_manifest

WHITE = 250.0
"""Mean brightness from which on a run fails."""


def fail_at_white(version: Path, images: str) -> None:
    """Change a published model so that its runs fail when the mean of a row of the input `images` is white.

    Args:
        version: the folder of its version.
        images: name of the input.
    """
    path = version / "model.onnx"
    model = onnx.load(path)
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == output:
                node.output[place] = "unguarded"
    graph.node.extend(
        [
            helper.make_node("Cast", [images], ["guarded_values"], to=TensorProto.FLOAT),
            # Of each row: whether a run fails must not depend on what else is in its batch.
            helper.make_node("Flatten", ["guarded_values"], ["guarded_rows"], axis=1),
            helper.make_node("ReduceMean", ["guarded_rows"], ["guarded_means"], axes=[1], keepdims=0),
            helper.make_node("ReduceMax", ["guarded_means"], ["guarded_mean"], keepdims=0),
            helper.make_node("Greater", ["guarded_mean", "white"], ["is_white"]),
            helper.make_node("Cast", ["is_white"], ["place"], to=TensorProto.INT64),
            # A table of one entry: there is no second, and the run ends with an error.
            helper.make_node("Gather", ["nothing", "place"], ["zero"], axis=0),
            helper.make_node("Add", ["unguarded", "zero"], [output]),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(numpy.array(WHITE, numpy.float32), "white"),
            numpy_helper.from_array(numpy.zeros(1, numpy.float32), "nothing"),
        ]
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
    checksum = sha256(path.read_bytes()).hexdigest()
    edit_manifest(version, lambda document: document["files"].update({path.name: checksum}))
