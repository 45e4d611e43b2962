"""Float32 weights back from the committed `minilm-understanding`, whose own were too large to keep.

Each integer weight is multiplied out with the scales that the graph holds, so the network answers as the graph does up
to the rounding of activations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from services.text.training.quantized_graph import CENTRE, GELU_OFFSET

Constants = dict[str, NDArray[Any]]


def restored_weights(graph: Path) -> dict[str, Tensor]:
    """Return the state of the `UnderstandingNetwork` that a graph was made of, by the names of its parameters.

    Args:
        graph: `model.onnx` as `minilm.quantise` writes it.
    """
    constants: Constants = {each.name: numpy_helper.to_array(each) for each in onnx.load(graph).graph.initializer}
    table = constants["token_table.weight.values"].astype(np.float32) * constants["token_table.weight.scales"]
    found: Constants = {"token_table.weight": table}
    for name, value in constants.items():
        layer = name.removesuffix(".weight_values")
        if layer != name:
            found[f"{layer}.weight"], found[f"{layer}.bias"] = _linear(constants, layer)
        elif value.dtype == np.float32 and _is_parameter(name):
            found[name] = value
    return {name: torch.tensor(value.astype(np.float32)) for name, value in found.items()}


def _linear(constants: Constants, layer: str) -> tuple[NDArray[Any], NDArray[Any]]:
    values = constants[f"{layer}.weight_values"].T.astype(np.float64)
    scales = constants[f"{layer}.weight_scales"].astype(np.float64)
    bias = -constants[f"{layer}.negative_bias"].astype(np.float64)
    weight = values * scales[:, None]
    if f"{layer}.steps_a_unit" not in constants:
        return weight, bias + GELU_OFFSET * values.sum(axis=1) * scales
    zero_points = constants[f"{layer}.offsets"].astype(np.float64) + CENTRE
    shift = values @ (CENTRE - zero_points) * scales
    return weight * constants[f"{layer}.steps_a_unit"].astype(np.float64), bias - shift


def _is_parameter(name: str) -> bool:
    """Tell a parameter of the network from a constant that quantisation or the exporter added."""
    whole = ("position_table", "input_normalisation.", "sentiment_head.", "emotion_head.", "toxicity_")
    return name.startswith(whole) or (name.startswith("layers.") and name.split(".")[2].endswith("normalisation"))
