"""The MiniLM encoder as a torch module written for export: every step is one standard ONNX operator.

Architecture: BERT (Devlin et al. 2019) with post-layer normalisation; MiniLM-L6 (Wang et al. 2020) has 6 layers,
width 384, 12 heads. Sentence vectors are the mean over the real tokens, L2-normalised (Reimers and Gurevych 2019).
The three projections of attention are one matrix, so that a layer reads its input once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of a BERT encoder; the defaults are MiniLM-L6."""

    vocabulary: int = 30522
    positions: int = 512
    layers: int = 6
    width: int = 384
    heads: int = 12
    inner_width: int = 1536
    epsilon: float = 1e-12


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by a residual sum and a layer normalisation."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query_key_value = nn.Linear(shape.width, 3 * shape.width)
        self.attention_output = nn.Linear(shape.width, shape.width)
        self.attention_normalisation = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.feed_forward_input = nn.Linear(shape.width, shape.inner_width)
        self.feed_forward_output = nn.Linear(shape.inner_width, shape.width)
        self.feed_forward_normalisation = nn.LayerNorm(shape.width, eps=shape.epsilon)

    def forward(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Maps hidden states [B * T, width] to the next layer's; `attended` [B, 1, T, T] is added to the logits."""
        batch, _, tokens, _ = attended.shape
        width = hidden.shape[1]
        query, key, value = (
            part.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.query_key_value(hidden).split(width, dim=1)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attended)
        mixed = self.attention_output(mixed.transpose(1, 2).reshape(batch * tokens, width))
        hidden = self.attention_normalisation(hidden + mixed)
        inner = functional.gelu(self.feed_forward_input(hidden))
        result: Tensor = self.feed_forward_normalisation(hidden + self.feed_forward_output(inner))
        return result


class SentenceEncoder(nn.Module):
    """Token ids and mask -> unit sentence vectors; a text without a real token gets the zero vector."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.token_table = nn.Embedding(shape.vocabulary, shape.width)
        # Position vector + vector of segment 0: these texts have one segment, so it is a constant.
        self.position_table = nn.Parameter(torch.zeros(shape.positions, shape.width))
        self.input_normalisation = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.layers = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps ids and mask int64 [B, T] to vectors float32 [B, width]."""
        real = attention_mask.to(torch.float32)
        batch, tokens = input_ids.shape
        # The Attention operator of ONNX wants the mask of every query row spelt out.
        attended = ((real - 1.0) * 10000.0)[:, None, None, :].expand(batch, 1, tokens, tokens)
        hidden = self.token_table(input_ids) + self.position_table[:tokens]
        # One row a token from here on: the linear layers see a matrix, whatever the batch.
        hidden = self.input_normalisation(hidden).flatten(0, 1)
        for layer in self.layers:
            hidden = layer(hidden, attended)
        # The sum has the direction of the mean, and the normalisation removes its length.
        summed = (real[:, None, :] @ hidden.view(batch, tokens, -1)).squeeze(1)
        return summed / summed.norm(dim=1, keepdim=True).clamp(min=1e-12)


def load_pretrained(tensors: dict[str, Tensor], shape: EncoderShape) -> SentenceEncoder:
    """Returns the encoder with the weights of a BERT checkpoint in the naming of the transformers library.

    Raises:
        RuntimeError: A tensor is missing or has another shape.
    """
    state = {
        "token_table.weight": tensors["embeddings.word_embeddings.weight"],
        "position_table": tensors["embeddings.position_embeddings.weight"]
        + tensors["embeddings.token_type_embeddings.weight"][0],
    }
    for kind in ("weight", "bias"):
        state[f"input_normalisation.{kind}"] = tensors[f"embeddings.LayerNorm.{kind}"]
        for number in range(shape.layers):
            source, target = f"encoder.layer.{number}", f"layers.{number}"
            state[f"{target}.query_key_value.{kind}"] = torch.cat(
                [tensors[f"{source}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            )
            for ours, theirs in (
                ("attention_output", "attention.output.dense"),
                ("attention_normalisation", "attention.output.LayerNorm"),
                ("feed_forward_input", "intermediate.dense"),
                ("feed_forward_output", "output.dense"),
                ("feed_forward_normalisation", "output.LayerNorm"),
            ):
                state[f"{target}.{ours}.{kind}"] = tensors[f"{source}.{theirs}.{kind}"]
    encoder = SentenceEncoder(shape)
    encoder.load_state_dict(state)
    return encoder.eval()
