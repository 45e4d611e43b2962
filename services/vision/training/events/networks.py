"""A convolutional network with a memory (ConvGRU), and the same one on a stack of four frames.

ConvGRU: Ballas et al. 2016, "Delving Deeper into Convolutional Networks for Learning Video Representations",
arXiv:1511.06432. The stack: Mnih et al. 2015, "Human-level control through deep reinforcement learning".
Both take a frame's change against the frame before as a fourth channel beside its three colours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from services.vision.training.data.gameplay_clips import EVENTS, HEIGHT, WIDTH

OUTPUTS = len(EVENTS) + 1
# The network looks at 1/8 of the picture's sides; the last frame's brightness is packed to the same grid.
STEP = 8
GRID = (HEIGHT // STEP, WIDTH // STEP)
FEATURES, MIXED, MEMORY, PACKED = 64, 64, 32, STEP * STEP
STATE_CHANNELS = MEMORY + PACKED
STACK = 4
BRIGHTNESS = (0.299, 0.587, 0.114)


class Backbone(nn.Module):
    """Frame features F32[N, 64, 10, 12] of F32[N, 4, 80, 96]; 10 million multiplications a frame."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, size, stride in ((4, 16, 5, 2), (16, 32, 3, 2), (32, 48, 3, 2), (48, FEATURES, 3, 1)):
            layers += [
                nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, channels: Tensor) -> Tensor:
        """Returns the features of each frame."""
        return self.layers(channels)


class RecurrentEvents(nn.Module):
    """Reads a stream second by second and carries its memory along.

    Four frames at a time become one step of the memory, by the convolution that the stack has too; what the step saw
    and what is remembered after it decide together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.mix = mixing(STACK)
        self.from_mixed = nn.Conv2d(MIXED, 3 * MEMORY, 3, padding=1)
        self.from_memory = nn.Conv2d(MEMORY, 3 * MEMORY, 3, padding=1)
        self.head = Head(4 * MIXED + 4 * MEMORY)

    def begin_with(self, stack: StackedEvents) -> None:
        """Takes over what a stack has learnt; the rest of the head begins at zero, so that it answers as the stack."""
        self.backbone.load_state_dict(stack.backbone.state_dict())
        self.mix.load_state_dict(stack.mix.state_dict())
        first, theirs = self.head.layers[0], stack.head.layers[0]
        with torch.no_grad():
            first.weight.zero_()
            first.weight[:, : 2 * MIXED] = theirs.weight
            first.bias.copy_(theirs.bias)
        self.head.layers[2].load_state_dict(stack.head.layers[2].state_dict())

    def forward(self, frames: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Reads S whole seconds.

        Args:
            frames: U8[B, S, T, H, W, 3].
            state: F32[B, 96, 10, 12]: 32 channels of memory, 64 of the last frame's brightness; zeros at the start.

        Returns:
            Logits F32[B, S, 6], the events and then the highlight; and the state after the last second.
        """
        batch, seconds, rate = frames.shape[:3]
        steps = rate // STACK
        memory, packed = state[:, :MEMORY], state[:, MEMORY:]
        before = nn.functional.pixel_shuffle(packed, STEP)[:, 0]
        channels, last = with_change(frames.flatten(1, 2), before)
        features = self.backbone(channels.flatten(0, 1)).unflatten(0, (batch * seconds * steps, STACK))
        mixed = self.mix(features.flatten(1, 2))
        inputs = self.from_mixed(mixed).unflatten(0, (batch, seconds * steps))
        remembered = []
        # Unbound once: a slice for each step would make the backward pass clear the whole tensor each time.
        for each_step in inputs.unbind(1):
            memory = self._step(each_step, memory)
            remembered.append(pooled(memory))
        saw = pooled(mixed).unflatten(0, (batch, seconds, steps))
        seen = torch.cat([saw, torch.stack(remembered, 1).unflatten(1, (seconds, steps))], -1)
        logits = self.head(torch.cat([seen[:, :, -1], seen.amax(2)], -1))
        return logits, torch.cat([memory, nn.functional.pixel_unshuffle(last[:, None], STEP)], 1)

    def _step(self, inputs: Tensor, memory: Tensor) -> Tensor:
        update, reset, new = inputs.chunk(3, 1)
        memory_update, memory_reset, memory_new = self.from_memory(memory).chunk(3, 1)
        kept = torch.sigmoid(update + memory_update)
        # The reset gate comes after the convolution, as in cuDNN's GRU, so that one convolution serves all three.
        candidate = torch.tanh(new + torch.sigmoid(reset + memory_reset) * memory_new)
        return kept * memory + (1 - kept) * candidate


class StackedEvents(nn.Module):
    """The same backbone and head on the last frames of a second, side by side, with nothing carried along."""

    def __init__(self, frames: int = STACK) -> None:
        super().__init__()
        self.frames = frames
        self.backbone = Backbone()
        self.mix = mixing(frames)
        self.head = Head(2 * MIXED)

    def forward(self, frames: Tensor) -> Tensor:
        """Returns logits F32[N, 6] of N stacks U8[N, stack, H, W, 3]."""
        channels, _ = with_change(frames, brightness(frames[:, 0].float() * (1 / 255)))
        features = self.backbone(channels.flatten(0, 1)).unflatten(0, frames.shape[:2]).flatten(1, 2)
        return self.head(pooled(self.mix(features)))


class Head(nn.Module):
    """From what was seen of a second to its logits."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(inplace=True), nn.Linear(64, OUTPUTS))

    def forward(self, seen: Tensor) -> Tensor:
        """Returns F32[..., 6] of F32[..., inputs]."""
        return self.layers(seen)


def mixing(frames: int) -> nn.Sequential:
    """Returns the convolution that looks at the features of some frames side by side."""
    convolution = nn.Conv2d(frames * FEATURES, MIXED, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(MIXED), nn.ReLU(inplace=True))


def pooled(maps: Tensor) -> Tensor:
    """Returns the mean and the largest value of each map: F32[N, 2 * C] of F32[N, C, h, w]."""
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


def with_change(frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Adds the change of brightness to frames U8[B, N, H, W, 3].

    Args:
        frames: Frames that follow each other.
        before: F32[B, H, W], brightness of the frame before the first, 0 to 1.

    Returns:
        F32[B, N, 4, H, W] around 0, and the brightness of the last frame, F32[B, H, W].
    """
    colours = frames.float() * (1 / 255)
    bright = brightness(colours)
    change = bright - torch.cat([before[:, None], bright[:, :-1]], 1)
    # Channels stay last in memory, which is what the convolutions are fastest on.
    return torch.cat([colours - 0.5, change[..., None]], -1).permute(0, 1, 4, 2, 3), bright[:, -1]


def brightness(colours: Tensor) -> Tensor:
    """Returns F32[..., H, W] of F32[..., H, W, 3]."""
    red, green, blue = BRIGHTNESS
    return red * colours[..., 0] + green * colours[..., 1] + blue * colours[..., 2]
