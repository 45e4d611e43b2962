"""EfficientNet-Lite0 as a trainable torch module that gives its features at four resolutions.

Batch normalisation is folded into the convolutions: a fine-tuning of minutes gains nothing from its statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from services.vision.training import original
from services.vision.training.efficientnet_lite import (
    BATCH_NORMALISATION_EPSILON,
    PIXEL_MEAN,
    PIXEL_SCALE,
    STAGES,
    Weights,
)

# Stages (from 0) whose outputs are features, their channels and strides.
TAPPED_STAGES = (1, 2, 4, 6)
CHANNELS = (24, 40, 112, 320)
STRIDES = (4, 8, 16, 32)


class Convolution(nn.Sequential):
    """A convolution with TensorFlow's "same" padding for even sides, and ReLU6 unless it is linear."""

    def __init__(self, weights: Weights, layer: str, normalisation: str, stride: int = 1, activate: bool = True):
        kernel = weights[f"{layer}.weight"].astype(np.float64)
        gain = weights[f"{normalisation}.weight"] / np.sqrt(
            weights[f"{normalisation}.running_var"].astype(np.float64) + BATCH_NORMALISATION_EPSILON
        )
        bias = weights[f"{normalisation}.bias"] - weights[f"{normalisation}.running_mean"] * gain
        outputs, inputs, size, _ = kernel.shape
        groups = outputs if inputs == 1 else 1
        padding = (size - 1) // 2 if stride == 1 else 0
        convolution = nn.Conv2d(inputs * groups, outputs, size, stride, padding, groups=groups)
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(kernel * gain[:, None, None, None]))
            convolution.bias.copy_(torch.from_numpy(bias))
        before, after = (size - stride) // 2, size - stride - (size - stride) // 2
        pad = [nn.ZeroPad2d((before, after, before, after))] if stride > 1 else []
        super().__init__(*pad, convolution, *([nn.ReLU6()] if activate else []))


class Bottleneck(nn.Module):
    """An inverted bottleneck; it adds its input unless it is the first of its stage."""

    def __init__(self, weights: Weights, source: str, expanded: bool, stride: int, first: bool) -> None:
        super().__init__()
        expand = [Convolution(weights, f"{source}._expand_conv", f"{source}._bn0")] if expanded else []
        self.layers = nn.Sequential(
            *expand,
            Convolution(weights, f"{source}._depthwise_conv", f"{source}._bn1", stride),
            Convolution(weights, f"{source}._project_conv", f"{source}._bn2", activate=False),
        )
        self.first = first

    def forward(self, values: Any) -> Any:
        """Maps float[B, C, H, W] to float[B, C', H / stride, W / stride]."""
        return self.layers(values) if self.first else values + self.layers(values)


class Backbone(nn.Module):
    """The published network without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        weights = original.load_weights()
        self.stem = Convolution(weights, "_conv_stem", "_bn0", stride=2)
        self.stages = nn.ModuleList()
        block = 0
        for stage in STAGES:
            blocks = []
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(Bottleneck(weights, f"_blocks.{block}", stage.expansion != 1, stride, repeat == 0))
                block += 1
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, pixels: Any) -> list[Any]:
        """Maps uint8[B, H, W, 3], sides divisible by 32, to the features float[B, C, H / stride, W / stride]."""
        values = self.stem((pixels.permute(0, 3, 1, 2).float() - PIXEL_MEAN) * PIXEL_SCALE)
        return self._through(values, 0)

    def continued(self, fine: Any, middle: Any) -> list[Any]:
        """Returns the four features, given those at stride 4 and 8; only the later stages run."""
        return [fine, middle, *self._through(middle, TAPPED_STAGES[1] + 1)]

    def _through(self, values: Any, first: int) -> list[Any]:
        features = []
        for number, stage in enumerate(self.stages[first:], first):
            values = stage(values)
            if number in TAPPED_STAGES:
                features.append(values)
        return features
