"""The served graph of a Vision Transformer: exported from torch, its weights kept in half precision."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from services.vision.training.vision_transformer.network import Convolution, VisionTransformer

OUTPUTS = ("probabilities", "vectors")
# Biases and normalisations weigh nothing and stay as they are.
LEAST_COMPACT_SIZE = 512


def export(network: VisionTransformer) -> onnx.ModelProto:
    """Returns the float32 graph, with a batch of any size; the network itself stays as it is."""
    served = copy.deepcopy(network).eval().to(memory_format=torch.contiguous_format)
    for layer in served.stem:
        assert isinstance(layer, Convolution)
        layer.convolution = nn.utils.fusion.fuse_conv_bn_eval(layer.convolution, layer.norm)
        layer.norm = nn.Identity()
    side = network.shape.side
    program = torch.onnx.export(
        served,
        (torch.zeros(2, side, side, 3, dtype=torch.uint8),),
        dynamo=True,
        input_names=["pixels"],
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
        verbose=False,
    )
    assert program is not None
    graph = program.model_proto
    # Where the build ran, line by line: of no use to whoever serves the graph.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:]
    return graph


def compact(model: onnx.ModelProto) -> bytes:
    """Returns the graph with its weights as float16, which become float32 again when the model loads.

    The runtime folds the casts away, so arithmetic, speed and memory are those of float32 at half the file.
    """
    smaller = copy.deepcopy(model)
    kept: list[Any] = []
    for tensor in smaller.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST_COMPACT_SIZE:
            kept.append(tensor)
            continue
        half = f"{tensor.name}.half"
        kept.append(numpy_helper.from_array(values.astype(np.float16), half))
        cast = helper.make_node("Cast", [half], [tensor.name], name=f"{half}.cast", to=TensorProto.FLOAT)
        smaller.graph.node.insert(0, cast)
    del smaller.graph.initializer[:]
    smaller.graph.initializer.extend(kept)
    onnx.checker.check_model(smaller, full_check=True)
    return bytes(smaller.SerializeToString(deterministic=True))
