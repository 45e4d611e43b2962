"""The served graph of the recurrent network: one run reads one second of each of its streams."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import onnx
import torch
from torch import Tensor, nn

from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, HEIGHT, WIDTH
from services.vision.training.events.networks import GRID, STATE_CHANNELS, RecurrentEvents, StackedEvents

INPUTS = ("frames", "state")
OUTPUTS = ("events", "highlight", "next_state")


class OneSecond(nn.Module):
    """Probabilities for one second of B streams."""

    def __init__(self, network: RecurrentEvents) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns events F32[B, 5], highlight F32[B] and the next state of frames U8[B, 8, H, W, 3]."""
        logits, next_state = self.network(frames[:, None], state)
        probabilities = torch.sigmoid(logits[:, 0])
        return probabilities[:, : len(EVENTS)], probabilities[:, len(EVENTS)], next_state


class OneStack(nn.Module):
    """Probabilities F32[B, 6] of the last frames of B seconds: what the recurrent network is compared with."""

    def __init__(self, network: StackedEvents) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        """Returns the events and, last, the highlight, of U8[B, stack, H, W, 3]."""
        return torch.sigmoid(self.network(frames))


def export(network: RecurrentEvents) -> onnx.ModelProto:
    """Returns the graph of a fitted network, with a batch of any size; the network itself stays as it is."""
    served = copy.deepcopy(network).eval()
    for layers in (served.backbone.layers, served.mix):
        _fuse(layers)
    state = torch.zeros(2, STATE_CHANNELS, *GRID)
    return _exported(OneSecond(served).eval(), (_frames(FRAMES_PER_SECOND), state), INPUTS, OUTPUTS)


def export_stack(network: StackedEvents) -> onnx.ModelProto:
    """Returns the graph of a fitted stack: `frames` to `probabilities`."""
    compared = copy.deepcopy(network).eval()
    for layers in (compared.backbone.layers, compared.mix):
        _fuse(layers)
    return _exported(OneStack(compared).eval(), (_frames(network.frames),), INPUTS[:1], ("probabilities",))


def _frames(count: int) -> Tensor:
    return torch.zeros(2, count, HEIGHT, WIDTH, 3, dtype=torch.uint8)


def _fuse(layers: nn.Sequential) -> None:
    """Puts each normalisation into the convolution before it."""
    for index, module in enumerate(layers):
        if isinstance(module, nn.BatchNorm2d):
            layers[index - 1] = nn.utils.fusion.fuse_conv_bn_eval(layers[index - 1], module)
            layers[index] = nn.Identity()


def _exported(
    module: nn.Module, samples: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.onnx.export(
        module,
        samples,
        dynamo=True,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple({0: batch} for _ in samples),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    # The exporter notes source lines, with the paths of this machine, at every node.
    for entry in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
    del model.metadata_props[:], model.graph.value_info[:]
    return model
