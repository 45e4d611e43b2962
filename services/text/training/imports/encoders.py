"""What vector models and classifiers have in common: how an encoder is exported, run and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from services.runtime.training.imports.exporting import FREE, export_graph
from services.runtime.training.imports.figures import Floats
from services.runtime.training.imports.importer import Wish
from services.runtime.training.imports.precision import in_precision
from services.runtime.training.imports.steps import Steps
from services.text.training.imports.encoder_plan import EncoderPlan
from services.text.training.parity import TokenIds, feeds

BATCH = 16
INPUTS = ("input_ids", "attention_mask")
MAX_BATCH = 32


class PaddedEncoder(torch.nn.Module):
    """An encoder whose padding is hidden from attention and from position numbers.

    Args:
        network: of the transformers library, reading `input_ids` and a mask of what each token may look at.
        padding_token: its own padding token; the service pads with 0.
    """

    def __init__(self, network: torch.nn.Module, padding_token: int) -> None:
        super().__init__()
        self.network = network
        self.padding_token = padding_token

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Return what the network says of int64 [B, T] ids with a mask."""
        ids = torch.where(attention_mask > 0, input_ids, self.padding_token)
        visible = (attention_mask > 0)[:, None, None, :]
        hidden = torch.where(visible, 0.0, torch.finfo(torch.float32).min)
        # A mask for each query is taken as it is; of one for each token the library would make such a one itself.
        hidden = hidden.expand(-1, 1, input_ids.shape[1], -1)
        return self.network(input_ids=ids, attention_mask=hidden)


def export_encoder(
    module: torch.nn.Module, output: str, plan: EncoderPlan, wish: Wish, folder: Path, steps: Steps
) -> tuple[bytes, dict[str, Path]]:
    """Export, round and write an encoder; returns the graph and the file of weights beside it, if there is one."""
    with steps("Exporting the graph", None):
        ids = torch.full((2, 4), plan.padding_token)
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
        free = {0: FREE, 1: FREE}
        graph = in_precision(export_graph(module, (ids, mask), (free, free), INPUTS, [output]), wish.precision)
    with steps("Writing the weights", graph.size_bytes) as step:
        return graph.write(folder, wish.embedded_bytes, step.advance)


def original_answers(answer: Callable[[Tensor], Tensor], texts: TokenIds, steps: Steps) -> Floats:
    """Return what the original says of each text by itself, float32 [texts, columns]."""
    with steps("Asking the original", len(texts)) as step, torch.no_grad():
        rows = []
        for ids in texts:
            rows.append(answer(torch.tensor([list(ids)])).numpy())
            step.advance()
    result: Floats = np.concatenate(rows)
    return result


def converted_answers(session: onnxruntime.InferenceSession, texts: TokenIds, steps: Steps) -> tuple[Floats, Floats]:
    """Return what the graph says of each text alone, and in padded batches of mixed lengths."""
    with steps("Comparing with the original", 2 * len(texts)) as step:
        alone = []
        for ids in texts:
            alone.append(session.run(None, feeds([ids]))[0])
            step.advance()
        # Short texts beside long ones.
        order = sorted(range(len(texts)), key=lambda index: (index % BATCH, index))
        together = np.empty((len(texts), alone[0].shape[1]), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            together[rows] = session.run(None, feeds([texts[row] for row in rows]))[0]
            step.advance(len(rows))
    return np.concatenate(alone), together


def manifest_of(wish: Wish, plan: EncoderPlan, *, output: str, columns: int, **more: Any) -> dict[str, Any]:
    """Return what the manifests of encoders have in common."""
    return {
        "name": wish.name,
        "version": wish.version,
        "required": False,
        "inputs": [{"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in INPUTS],
        "outputs": [{"name": output, "datatype": "FP32", "shape": [-1, columns]}],
        "batching": {"max_batch": MAX_BATCH, "cost_unit": "tokens", "exact_length": False},
        "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
        "limits": {"max_tokens": plan.max_tokens},
        "warmup_runs": 1,
        **more,
    }


def golden_cases(texts: Sequence[Sequence[int]]) -> list[Mapping[str, Any]]:
    """Return each text alone, then all of them in one padded batch."""
    return [*(feeds([ids]) for ids in texts), feeds(texts)]
