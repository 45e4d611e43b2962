"""A small Vision Transformer with a convolutional stem, as a torch module that takes bytes.

Transformer encoder over the cells of a picture after Dosovitskiy et al. 2021, "An image is worth 16x16 words"; a few
convolutions in place of the patch projection after Xiao et al. 2021, "Early convolutions help transformers see better";
attention pooling over the tokens in place of a class token after Hassani et al. 2021, "Escaping the big data paradigm
with compact transformers".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# The weights of red, green and blue in the grey value of ITU-R BT.601, as Pillow's "L" mode has them.
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class NetworkShape:
    """Everything that decides the size of a network."""

    side: int
    """Height and width of the picture in pixels."""
    classes: int
    stem: Sequence[tuple[int, int, int]]
    """Channels, kernel and stride of each convolution before the Transformer."""
    dimensions: int
    blocks: int
    heads: int
    grey: bool = False
    """Whether the picture is reduced to its grey values first."""
    mirrored: bool = False
    """Whether an answer is the mean of the answers to the picture and to its mirror image."""
    hidden_ratio: int = 2
    dropout: float = 0.0
    """Share of a block's additions left out while fitting, growing from none in the first block to this in the last."""

    @property
    def tokens_a_side(self) -> int:
        """Cells along one side of the picture."""
        side = self.side
        for _, kernel, stride in self.stem:
            side = (side + 2 * ((kernel - 1) // 2) - kernel) // stride + 1
        return side


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU; added to its input where that has the same size (He et al. 2016)."""

    def __init__(self, channels: int, wider: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, wider, kernel, stride, (kernel - 1) // 2, bias=False)
        self.norm = nn.BatchNorm2d(wider)
        self.residual = channels == wider and stride == 1

    def forward(self, planes: Tensor) -> Tensor:
        """Map float32 [B, C, H, W] to [B, wider, H / stride, W / stride]."""
        changed = functional.relu(self.norm(self.convolution(planes)))
        return planes + changed if self.residual else changed


class Block(nn.Module):
    """Self-attention and a two-layer network, each on the normalised tokens and added to them."""

    def __init__(self, shape: NetworkShape, skipped: float) -> None:
        super().__init__()
        width = shape.dimensions
        self.heads, self.skipped = shape.heads, skipped
        self.attention_norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden = nn.Linear(width, shape.hidden_ratio * width)
        self.output = nn.Linear(shape.hidden_ratio * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map float32 [B, T, D] to the same shape."""
        batch, count, width = tokens.shape
        parts = self.query_key_value(self.attention_norm(tokens))
        parts = parts.view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        shares = torch.softmax(query @ key.transpose(2, 3) * (width // self.heads) ** -0.5, dim=-1)
        attended = (shares @ value).transpose(1, 2).reshape(batch, count, width)
        tokens = tokens + self._kept(self.attended(attended))
        hidden = functional.gelu(self.hidden(self.hidden_norm(tokens)))
        return tokens + self._kept(self.output(hidden))

    def _kept(self, addition: Tensor) -> Tensor:
        # Stochastic depth (Huang et al. 2016): whole additions are left out while fitting.
        if not self.training or self.skipped == 0:
            return addition
        kept = (torch.rand(len(addition), 1, 1) >= self.skipped).to(addition.dtype)
        return addition * kept / (1 - self.skipped)


class VisionTransformer(nn.Module):
    """Classifier and picture vector; see the module's text."""

    def __init__(self, shape: NetworkShape, mean: float, deviation: float) -> None:
        """Build with random weights.

        Args:
            shape: Sizes.
            mean: Mean of the pixels that it is fitted on, 0 to 255.
            deviation: Their standard deviation.
        """
        super().__init__()
        self.shape, self.mean, self.deviation = shape, mean, deviation
        layers: list[nn.Module] = []
        channels = 1 if shape.grey else 3
        for wider, kernel, stride in shape.stem:
            layers.append(Convolution(channels, wider, kernel, stride))
            channels = wider
        self.stem = nn.Sequential(*layers)
        self.projection = nn.Linear(channels, shape.dimensions)
        self.places = nn.Parameter(torch.randn(1, shape.tokens_a_side**2, shape.dimensions) * 0.02)
        skipped = torch.linspace(0, shape.dropout, shape.blocks).tolist()
        self.blocks = nn.ModuleList(Block(shape, each) for each in skipped)
        self.norm = nn.LayerNorm(shape.dimensions)
        self.attention = nn.Linear(shape.dimensions, 1)
        self.classes = nn.Linear(shape.dimensions, shape.classes)

    def planes(self, pixels: Tensor) -> Tensor:
        """Map uint8 [B, S, S, 3] (or [B, S, S, 1], already grey) to normalised float32 [B, channels, S, S]."""
        planes = pixels.permute(0, 3, 1, 2).float()
        if self.shape.grey and pixels.shape[3] == 3:
            planes = sum(planes[:, number : number + 1] * weight for number, weight in enumerate(GREY))
        return (planes - self.mean) * (1 / self.deviation)

    def pooled(self, planes: Tensor) -> Tensor:
        """Map normalised planes to float32 [B, D]: the mean of the tokens, weighted by how much each is attended to."""
        cells = self.stem(planes).flatten(2).transpose(1, 2)
        tokens = self.projection(cells) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        shares = torch.softmax(self.attention(tokens), dim=1)
        return (shares.transpose(1, 2) @ tokens).squeeze(1)

    def logits(self, planes: Tensor) -> Tensor:
        """Map normalised planes to float32 [B, classes], for fitting."""
        result: Tensor = self.classes(self.pooled(planes))
        return result

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [B, S, S, 3] to probabilities float32 [B, classes] and vectors float32 [B, D] of length one."""
        planes = self.planes(pixels)
        pooled = self.pooled(planes)
        probabilities = torch.softmax(self.classes(pooled), dim=1)
        if self.shape.mirrored:
            other = self.pooled(planes.flip(3))
            probabilities = (probabilities + torch.softmax(self.classes(other), dim=1)) / 2
            pooled = (pooled + other) / 2
        return probabilities, pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-12)
