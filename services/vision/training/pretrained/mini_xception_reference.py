"""The published expression network in torch, written apart from the graph: what that is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from services.vision.training.pretrained.mini_xception import Layer

Floats = np.ndarray[Any, np.dtype[np.float32]]


def reference_answers(layers: list[Layer], faces: np.ndarray[Any, np.dtype[np.uint8]]) -> Floats:
    """Returns float32[N, 7] probabilities for uint8[N, 64, 64, 1] grey faces, in float64 throughout."""
    values: dict[str, torch.Tensor] = {}
    for layer in layers:
        taken = [values[name] for name in layer.sources]
        weights = {name: torch.from_numpy(np.asarray(value, np.float64)) for name, value in layer.weights.items()}
        if layer.kind == "InputLayer":
            pixels = torch.from_numpy(faces.astype(np.float64)).permute(0, 3, 1, 2)
            result = pixels / 127.5 - 1
        elif layer.kind == "Conv2D":
            result = functional.conv2d(
                _padded(taken[0], layer, weights["kernel"].shape[0], 0.0),
                weights["kernel"].permute(3, 2, 0, 1),
                weights.get("bias"),
                stride=layer.options["strides"],
            )
        elif layer.kind == "SeparableConv2D":
            depthwise = weights["depthwise_kernel"].permute(2, 3, 0, 1)
            spread = _padded(taken[0], layer, depthwise.shape[-1], 0.0)
            spread = functional.conv2d(spread, depthwise, groups=len(depthwise))
            result = torch.einsum("bchw,co->bohw", spread, weights["pointwise_kernel"][0, 0])
        elif layer.kind == "BatchNormalization":
            gain = weights["gamma"] / (weights["moving_variance"] + layer.options["epsilon"]).sqrt()
            shift = weights["beta"] - weights["moving_mean"] * gain
            result = taken[0] * gain[:, None, None] + shift[:, None, None]
        elif layer.kind == "MaxPooling2D":
            whole = _padded(taken[0], layer, layer.options["pool_size"][0], -torch.inf)
            result = functional.max_pool2d(whole, layer.options["pool_size"], layer.options["strides"])
        elif layer.kind == "GlobalAveragePooling2D":
            result = taken[0].mean(dim=(2, 3))
        elif layer.kind == "Add":
            result = taken[0] + taken[1]
        elif layer.options["activation"] == "softmax":
            result = taken[0].softmax(dim=1)
        else:
            result = taken[0].clamp(min=0)
        values[layer.name] = result
    answers: Floats = values[layers[-1].name].numpy().astype(np.float32)
    return answers


def _padded(values: torch.Tensor, layer: Layer, size: int, fill: float) -> torch.Tensor:
    if layer.options["padding"] != "same":
        return values
    stride = layer.options["strides"][0]
    length = values.shape[-1]
    missing = max((-(-length // stride) - 1) * stride + size - length, 0)
    before, after = missing // 2, missing - missing // 2
    return functional.pad(values, (before, after, before, after), value=fill)
