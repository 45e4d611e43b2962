"""The served graph of the recurrent network: one run reads one second of each of its streams."""

from __future__ import annotations

import copy

import onnx
import torch
from torch import Tensor, nn

from services.vision.training.data.gameplay_clips import EVENTS, FRAMES_PER_SECOND, HEIGHT, WIDTH
from services.vision.training.events.networks import GRID, STATE_CHANNELS, RecurrentEvents

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


def export(network: RecurrentEvents) -> onnx.ModelProto:
    """Returns the graph of a fitted network, with a batch of any size; the network itself stays as it is."""
    served = copy.deepcopy(network).eval()
    for index, module in enumerate(served.backbone.layers):
        if isinstance(module, nn.BatchNorm2d):
            convolution = served.backbone.layers[index - 1]
            served.backbone.layers[index - 1] = nn.utils.fusion.fuse_conv_bn_eval(convolution, module)
            served.backbone.layers[index] = nn.Identity()
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.onnx.export(
        OneSecond(served).eval(),
        (
            torch.zeros(2, FRAMES_PER_SECOND, HEIGHT, WIDTH, 3, dtype=torch.uint8),
            torch.zeros(2, STATE_CHANNELS, *GRID),
        ),
        dynamo=True,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: batch}, {0: batch}),
        verbose=False,
    )
    assert program is not None
    graph = program.model_proto
    # Where the build ran, line by line: of no use to whoever serves the graph.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:]
    return graph
