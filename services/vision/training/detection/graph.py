"""The served graph of the detector: traced from torch, its weights kept in 16 bits."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from services.vision.training.detection.frames import HEIGHT, WIDTH

# The first opset with the sampling that the decoder looks at the maps with is 16; 17 has its normalisation too.
OPSET = 17
OUTPUTS = ("scores", "boxes")
# Biases, gains and the positions of the grid weigh nothing and stay as they are.
LEAST_COMPACT_SIZE = 2_048


def export(network: Any) -> onnx.ModelProto:
    """Returns the float32 graph of either detector, with a batch of any size.

    It is traced, not exported as a program: the published class asks a tensor for its `len`, which a program takes for
    a constant, so that the batch would be fixed.
    """
    batch = {0: "batch"}
    with tempfile.TemporaryDirectory(prefix="marquee-detector-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, HEIGHT, WIDTH, 3, dtype=torch.uint8),),
            str(path),
            dynamo=False,
            input_names=["pixels"],
            output_names=list(OUTPUTS),
            dynamic_axes=dict.fromkeys(("pixels", *OUTPUTS), batch),
            opset_version=OPSET,
        )
        model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    return model


def compact(model: onnx.ModelProto) -> bytes:
    """Returns the graph with its matrices and kernels as float16, which become float32 again when the model loads.

    The runtime folds the casts away, so arithmetic, speed and memory are those of float32 at half the file.
    """
    smaller = copy.deepcopy(model)
    kept: list[Any] = []
    for tensor in smaller.graph.initializer:
        values = numpy_helper.to_array(tensor)
        fits = values.dtype == np.float32 and values.size >= LEAST_COMPACT_SIZE
        # The logits of anchors that may not be used are the largest float32 and would become infinite.
        if not fits or np.abs(values).max() > np.finfo(np.float16).max:
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
