"""Networks of the transformers library as graphs take them: bytes of pixels in, probabilities, vectors or boxes out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from services.vision.training.imports.plans import PicturePlan


class PictureNetwork(torch.nn.Module):
    """A network behind the arithmetic on pixels.

    Args:
        network: of the transformers library, reading `pixel_values`.
        plan: what is done to pixels, and which columns are answered.
    """

    def __init__(self, network: torch.nn.Module, plan: PicturePlan) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", torch.tensor(plan.preprocessing.scale, dtype=torch.float32))
        self.register_buffer("offset", torch.tensor(plan.preprocessing.offset, dtype=torch.float32))

    def values(self, pixels: Tensor) -> Tensor:
        """Return float32 [B, 3, H, W] of uint8 [B, H, W, 3] pixels, as the network was trained to read them."""
        return (pixels.to(torch.float32) * self.scale + self.offset).permute(0, 3, 1, 2)


class PictureNamer(PictureNetwork):
    """`pixels` → probabilities float32 [B, C] and vectors float32 [B, D] of length one, the class token's."""

    def __init__(self, network: Any, plan: PicturePlan) -> None:
        super().__init__(network, plan)
        self.trunk, self.head = network.vit, network.classifier

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and vectors."""
        states = self.trunk(self.values(pixels)).last_hidden_state
        return torch.softmax(self.head(states[:, 0]), dim=1), unit_vectors(states)


class PictureReader(PictureNetwork):
    """`pixels` → vectors float32 [B, D] of length one, the class token's."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Return vectors."""
        return unit_vectors(self.network(self.values(pixels)).last_hidden_state)


class ObjectFinder(PictureNetwork):
    """`pixels` → scores float32 [B, Q, C] without "no object", boxes float32 [B, Q, 4] as corners."""

    def __init__(self, network: torch.nn.Module, plan: PicturePlan) -> None:
        super().__init__(network, plan)
        self.register_buffer("columns", torch.tensor(list(plan.columns), dtype=torch.int64))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and boxes."""
        said = self.network(self.values(pixels))
        scores = torch.softmax(said.logits, dim=-1)
        middle, half = said.pred_boxes[..., :2], said.pred_boxes[..., 2:] / 2
        return torch.index_select(scores, -1, self.columns), torch.cat((middle - half, middle + half), dim=-1)


def unit_vectors(states: Tensor) -> Tensor:
    """Return float32 [B, D] of length one: the class token of float32 [B, T, D] states."""
    return torch.nn.functional.normalize(states[:, 0], dim=-1)
