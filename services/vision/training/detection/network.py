"""The detector: EfficientNet-Lite0's features, and the encoder, query selection and decoder of RT-DETR.

Zhao et al. 2024, "DETRs Beat YOLOs on Real-time Object Detection"; the classes and the loss are those of transformers
(`RTDetrForObjectDetection`), sized for one thread of a CPU. It predicts a set: every query is one object or none, the
loss pairs queries with objects one to one, and so there are no anchor boxes to tune and no suppression of doubles.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

from services.vision.training.detection.average_precision import Answers, from_scores
from services.vision.training.detection.backbone import CHANNELS, STRIDES, Backbone
from services.vision.training.detection.frames import HEIGHT, WIDTH

WIDE = 96
# A frame of the training maps shows 25 objects at most.
QUERIES = 30


def configuration(classes: int) -> RTDetrConfig:
    """Returns the sizes of the encoder and the decoder."""
    return RTDetrConfig(
        # The published class builds a network of its own, which is thrown away: the smallest one will do.
        backbone_config=RTDetrResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[2, 3, 4]
        ),
        num_labels=classes,
        encoder_in_channels=[WIDE] * 3,
        encoder_hidden_dim=WIDE,
        encoder_ffn_dim=2 * WIDE,
        encoder_attention_heads=4,
        hidden_expansion=0.5,
        d_model=WIDE,
        decoder_in_channels=[WIDE] * 3,
        decoder_ffn_dim=2 * WIDE,
        decoder_attention_heads=4,
        decoder_layers=2,
        num_queries=QUERIES,
        num_denoising=20,
        anchor_image_size=[HEIGHT, WIDTH],
        feat_strides=list(STRIDES[1:]),
    )


class Maps(list[Any]):
    """The projected maps as the published class takes them: a list with two facts of a tensor."""

    @property
    def shape(self) -> Any:
        """The shape of the first map."""
        return self[0].shape

    @property
    def device(self) -> Any:
        """The device of the first map."""
        return self[0].device


class Projection(nn.Module):
    """Brings the features to one width; those at stride 4 join those at stride 8, for the sake of small objects."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(CHANNELS[0], WIDE, 3, 2, 1, bias=False)
        self.levels = nn.ModuleList(nn.Conv2d(channels, WIDE, 1, bias=False) for channels in CHANNELS[1:])
        self.normalisations = nn.ModuleList(nn.BatchNorm2d(WIDE) for _ in CHANNELS[1:])

    def forward(self, features: list[Any]) -> Maps:
        """Maps the backbone's four features to three maps float[B, WIDE, H, W] at strides 8, 16 and 32."""
        maps = [level(values) for level, values in zip(self.levels, features[1:], strict=True)]
        maps[0] = maps[0] + self.fine(features[0])
        return Maps(normalise(values) for normalise, values in zip(self.normalisations, maps, strict=True))


def start_encoder(encoder: Any) -> None:
    """Makes a published pyramid smaller, and its normalisations ready to be fitted."""
    for layer in (*encoder.fpn_blocks, *encoder.pan_blocks):
        # Of three convolutions each the first does most; the others would double the encoder's work.
        layer.bottlenecks = layer.bottlenecks[:1]
    start_normalisations(encoder)


def start_normalisations(network: Any) -> None:
    """Sets every gain to one: transformers starts them near zero, for a checkpoint to replace."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)


class Detector(nn.Module):
    """The whole network."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.projection = Projection()
        self.detector = RTDetrForObjectDetection(configuration(classes))
        self.detector.model.backbone = nn.Identity()
        self.detector.model.encoder_input_proj = nn.Identity()
        start_encoder(self.detector.model.encoder)
        start_normalisations(self.detector)

    def loss(self, features: list[Any], objects: list[dict[str, Any]]) -> Any:
        """Returns the matching loss, a scalar.

        Args:
            features: Of the backbone.
            objects: For each picture `class_labels` int64[N] and `boxes` float[N, 4]: centre, width and height, 0..1.
        """
        return self.detector(None, inputs_embeds=self.projection(features), labels=objects).loss

    def answers(self, features: list[Any]) -> tuple[Any, Any]:
        """Returns scores float[B, QUERIES, C] and boxes float[B, QUERIES, 4] as (x0, y0, x1, y1), both 0..1."""
        outputs = self.detector(None, inputs_embeds=self.projection(features))
        centre, size = outputs.pred_boxes[..., :2], outputs.pred_boxes[..., 2:]
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1).clamp(0, 1)
        return outputs.logits.sigmoid(), boxes

    def detections(self, features: list[Any]) -> list[Answers]:
        """Returns the answers to each picture, for the measure."""
        scores, boxes = self.answers(features)
        return [from_scores(*pair) for pair in zip(scores.numpy(), boxes.numpy(), strict=True)]

    def forward(self, pixels: Any) -> tuple[Any, Any]:
        """Maps uint8[B, HEIGHT, WIDTH, 3] to `answers`."""
        return self.answers(self.backbone(pixels))
