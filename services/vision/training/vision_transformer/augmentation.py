"""Cheap changes of pictures while fitting: each keeps the class, and none is made when the model answers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def shifted(pixels: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Returns uint8 [B, S, S, C], each picture moved by up to `most` pixels each way; what comes in is black."""
    batch, side = len(pixels), pixels.shape[1]
    padded = functional.pad(pixels, (0, 0, most, most, most, most))
    offsets = torch.randint(0, 2 * most + 1, (2, batch, 1), generator=generator) + torch.arange(side)
    picture = torch.arange(batch)[:, None, None]
    return padded[picture, offsets[0][:, :, None], offsets[1][:, None, :]]


def mirrored(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Returns uint8 [B, S, S, C], half of the pictures mirrored left to right."""
    chosen = torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, pixels.flip(2), pixels)


def erased(pixels: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Returns uint8 [B, S, S, C], a black square of `side` somewhere in half of the pictures, cut at the edges.

    DeVries and Taylor 2017, "Improved regularization of convolutional neural networks with cutout".
    """
    batch, whole = len(pixels), pixels.shape[1]
    starts = torch.randint(-side // 2, whole - side // 2, (2, batch, 1), generator=generator)
    inside = (torch.arange(whole) >= starts) & (torch.arange(whole) < starts + side)
    inside &= torch.rand(batch, 1, generator=generator) < 0.5
    return pixels.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[..., None], 0)


def clothes(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Changes for Fashion-MNIST: a pixel of shift, left for right, a hole."""
    return erased(shifted(mirrored(pixels, generator), 1, generator), 8, generator)


def zoomed(pixels: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Returns uint8 [B, S, S, C], each picture larger or smaller by up to `most` in each direction and off its place.

    Each pixel is taken from its nearest neighbour; beyond the edge, the edge is repeated.
    """
    batch, side = len(pixels), pixels.shape[1]
    scales = 1 + most * (2 * torch.rand(2, batch, 1, generator=generator) - 1)
    offsets = most * side * (torch.rand(2, batch, 1, generator=generator) - 0.5)
    places = (torch.arange(side) - side / 2) * scales + side / 2 + offsets
    rows, columns = places.round().long().clamp(0, side - 1)
    return pixels[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


def recoloured(pixels: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Returns uint8 [B, S, S, C], each picture brighter or darker as a whole and in each colour, by up to `most`."""
    batch, channels = len(pixels), pixels.shape[3]
    whole = 1 + most * (2 * torch.rand(batch, 1, 1, 1, generator=generator) - 1)
    each = 1 + most / 2 * (2 * torch.rand(batch, 1, 1, channels, generator=generator) - 1)
    raised = 255 * most / 4 * (2 * torch.rand(batch, 1, 1, 1, generator=generator) - 1)
    return (pixels * (whole * each) + raised).clamp_(0, 255).to(torch.uint8)


def screenshots(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Changes for screenshots: another screen's colours and borders. Never mirrored: text and scenes have a side."""
    return recoloured(zoomed(pixels, 0.08, generator), 0.06, generator)
