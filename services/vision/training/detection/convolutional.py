"""The detector without attention that the set prediction is compared with: one answer a cell, doubles suppressed.

Tian et al. 2019, "FCOS: Fully Convolutional One-Stage Object Detection", with the score of Zhang et al. 2021,
"VarifocalNet" (the class's probability times the overlap to expect), which is also RT-DETR's. Backbone, projection and
pyramid are those of `network`, without the layer of attention.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.models.rt_detr.modeling_rt_detr import RTDetrHybridEncoder

from services.vision.training.detection.average_precision import MOST_ANSWERS, Answers, overlaps
from services.vision.training.detection.backbone import STRIDES, Backbone
from services.vision.training.detection.frames import HEIGHT, WIDTH
from services.vision.training.detection.network import WIDE, Projection, configuration, start_encoder

# The largest distance from a cell to a side of its box, in pixels of the input, for each of the three levels.
LARGEST_DISTANCES = (36.0, 80.0, 1e6)
# A cell answers for an object when it lies this near to the object's middle, in cells.
CENTRE_RADIUS = 1.5
SUPPRESSED_OVERLAP = 0.6
LEAST_SCORE = 0.01
_ALPHA, _GAMMA, _BOX_WEIGHT = 0.75, 2.0, 2.0
_PRIOR = 0.01


class ConvolutionalDetector(nn.Module):
    """The whole network, with the methods of `network.Detector` that a fit uses."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.projection = Projection()
        sizes = configuration(classes)
        sizes.encoder_layers = 0
        self.encoder = RTDetrHybridEncoder(sizes)
        self.encoder.aifi = nn.ModuleList()
        start_encoder(self.encoder)
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.Conv2d(WIDE, WIDE, 3, padding=1, bias=False), nn.GroupNorm(8, WIDE), nn.SiLU()]
        self.tower = nn.Sequential(*layers)
        self.classes = nn.Conv2d(WIDE, classes, 3, padding=1)
        self.distances = nn.Conv2d(WIDE, 4, 3, padding=1)
        nn.init.constant_(self.classes.bias, -math.log((1 - _PRIOR) / _PRIOR))
        nn.init.constant_(self.distances.bias, 1.0)
        places, strides = [], []
        for stride in STRIDES[1:]:
            rows, columns = torch.meshgrid(torch.arange(HEIGHT // stride), torch.arange(WIDTH // stride), indexing="ij")
            places.append((torch.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * stride)
            strides.append(torch.full((len(places[-1]),), float(stride)))
        self.register_buffer("places", torch.cat(places), persistent=False)
        self.register_buffer("strides", torch.cat(strides), persistent=False)

    def cells(self, features: list[Any]) -> tuple[Any, Any]:
        """Returns class logits float[B, N, C] and boxes float[B, N, 4] (x0, y0, x1, y1) in pixels of the input."""
        logits, distances = [], []
        for level in self.encoder(self.projection(features)).last_hidden_state:
            values = self.tower(level)
            logits.append(self.classes(values).flatten(2).transpose(1, 2))
            distances.append(self.distances(values).flatten(2).transpose(1, 2))
        reach = torch.nn.functional.softplus(torch.cat(distances, 1)) * self.strides[None, :, None]
        boxes = torch.cat([self.places - reach[..., :2], self.places + reach[..., 2:]], -1)
        return torch.cat(logits, 1), boxes

    def loss(self, features: list[Any], objects: list[dict[str, Any]]) -> Any:
        """Returns the loss, a scalar; arguments as in `network.Detector.loss`."""
        logits, boxes = self.cells(features)
        wanted_scores = torch.zeros_like(logits)
        chosen, wanted = [], []
        for picture, target in enumerate(objects):
            cells, found = self._assigned(target["boxes"])
            with torch.no_grad():
                quality = _overlap(boxes[picture, cells], found[1]).clamp(min=0)
                wanted_scores[picture, cells, target["class_labels"][found[0]]] = quality
            chosen.append(boxes[picture, cells])
            wanted.append(found[1])
        positives = max(sum(len(cells) for cells in chosen), 1)
        probability = logits.detach().sigmoid()
        weight = torch.where(wanted_scores > 0, wanted_scores, _ALPHA * probability**_GAMMA)
        classes = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted_scores, weight, reduction="sum")
        overlap = _overlap(torch.cat(chosen), torch.cat(wanted), generalised=True)
        return (classes + _BOX_WEIGHT * (1 - overlap).sum()) / positives

    def detections(self, features: list[Any]) -> list[Answers]:
        """Returns the answers to each picture, doubles suppressed, boxes in parts 0..1."""
        logits, boxes = self.cells(features)
        size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=np.float32)
        pairs = zip(logits.sigmoid().numpy(), (boxes.numpy() / size).clip(0, 1), strict=True)
        return [suppressed(scores, cells) for scores, cells in pairs]

    def forward(self, pixels: Any) -> tuple[Any, Any]:
        """Maps uint8[B, HEIGHT, WIDTH, 3] to scores float[B, N, C] and boxes float[B, N, 4] in parts 0..1."""
        logits, boxes = self.cells(self.backbone(pixels))
        return logits.sigmoid(), (boxes / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])).clamp(0, 1)

    def _assigned(self, targets: Any) -> tuple[Any, tuple[Any, Any]]:
        """Returns the cells that answer for an object; and the objects' numbers and boxes in pixels, one for each."""
        size = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=torch.float32)
        centres, halves = targets[:, :2], targets[:, 2:] / 2
        corners = torch.cat([centres - halves, centres + halves], 1) * size
        from_first = self.places[:, None] - corners[None, :, :2]
        to_last = corners[None, :, 2:] - self.places[:, None]
        distances = torch.cat([from_first, to_last], -1)
        off_centre = (self.places[:, None] - (centres * size[:2])[None]).abs().amax(-1)
        farthest = distances.amax(-1)
        least = torch.cat([torch.zeros(1), torch.tensor(LARGEST_DISTANCES)])
        level = (self.strides.log2() - 3).long()
        fits = (farthest > least[level][:, None]) & (farthest <= least[level + 1][:, None])
        fits &= (distances.amin(-1) > 0) & (off_centre <= CENTRE_RADIUS * self.strides[:, None])
        # A cell in two objects answers for the smaller one.
        areas = (corners[:, 2:] - corners[:, :2]).prod(-1)[None].expand_as(fits)
        if not len(targets):
            nothing = torch.zeros(0, dtype=torch.long)
            return nothing, (nothing, corners)
        smallest, number = torch.where(fits, areas, torch.inf).min(1)
        cells = torch.nonzero(smallest < torch.inf)[:, 0]
        return cells, (number[cells], corners[number[cells]])


def suppressed(scores: Any, boxes: Any) -> Answers:
    """Returns the best answers of scores float[N, C] and boxes float[N, 4], without doubles of one class."""
    cells, classes = np.nonzero(scores >= LEAST_SCORE)
    values = scores[cells, classes]
    order = np.argsort(-values, kind="stable")[: 4 * MOST_ANSWERS]
    cells, classes, values = cells[order], classes[order], values[order]
    double = (overlaps(boxes[cells], boxes[cells]) > SUPPRESSED_OVERLAP) & (classes[:, None] == classes[None])
    kept = np.ones(len(values), dtype=bool)
    for number in range(len(values)):
        if kept[number]:
            kept[number + 1 :] &= ~double[number, number + 1 :]
    rows = np.flatnonzero(kept)[:MOST_ANSWERS]
    return Answers(boxes[cells[rows]], classes[rows], values[rows])


def _overlap(first: Any, second: Any, generalised: bool = False) -> Any:
    """Returns float[N], the (generalised) intersection over union of pairs of boxes float[N, 4]."""
    shared = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    intersection = shared.prod(-1)
    union = sum((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)) - intersection
    overlap = intersection / union.clamp(min=1e-6)
    if not generalised:
        return overlap
    hull = (torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])).prod(-1)
    return overlap - (hull - union) / hull.clamp(min=1e-6)
