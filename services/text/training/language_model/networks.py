"""The two language models: a Transformer decoder and an LSTM. Both share the table of input and output tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of the Transformer."""

    tokens: int = 3072
    width: int = 128
    layers: int = 3
    heads: int = 4
    hidden: int = 512

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


@dataclass(frozen=True)
class RecurrentShape:
    """Sizes of the recurrent network."""

    tokens: int = 3072
    width: int = 128
    hidden: int = 256


class DecoderLayer(nn.Module):
    """Attention, then a network of two layers on each token; both add to the stream, normalised before."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.heads, self.head_width = shape.heads, shape.head_width
        self.attention_norm = nn.Parameter(torch.ones(shape.width))
        self.queries_keys_values = nn.Linear(shape.width, 3 * shape.width, bias=False)
        # A key that also holds a part of the token before lets one layer find "what came after this token last time",
        # which copying names needs (smeared keys: Olsson et al. 2022, "In-context learning and induction heads").
        self.smear = nn.Parameter(0.5 * torch.ones(shape.heads, 1, shape.head_width))
        self.attended = nn.Linear(shape.width, shape.width, bias=False)
        self.hidden_norm = nn.Parameter(torch.ones(shape.width))
        self.hidden = nn.Linear(shape.width, shape.hidden, bias=False)
        self.output = nn.Linear(shape.hidden, shape.width, bias=False)
        nn.init.zeros_(self.attended.weight)
        nn.init.zeros_(self.output.weight)

    def forward(self, stream: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        """Map [B, T, width] to the same shape; no token sees a later one."""
        rows, length, width = stream.shape
        parts = self.queries_keys_values(normalised(stream, self.attention_norm))
        queries, keys, values = parts.view(rows, length, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4)
        queries, keys = rotated(queries, cosines, sines), rotated(keys, cosines, sines)
        keys = keys + self.smear * functional.pad(keys[:, :, :-1], (0, 0, 1, 0))
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        stream = stream + self.attended(attended.transpose(1, 2).reshape(rows, length, width))
        hidden = torch.relu(self.hidden(normalised(stream, self.hidden_norm))).square()
        result: Tensor = stream + self.output(hidden)
        return result


class Decoder(nn.Module):
    """Transformer decoder (Vaswani et al. 2017) with rotary positions (Su et al. 2021), root-mean-square norms and
    squared ReLU (So et al. 2021, "Primer").
    """

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.table = nn.Parameter(0.02 * torch.randn(shape.tokens, shape.width))
        self.layers = nn.ModuleList(DecoderLayer(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids int64 [B, T] to what stands before the table, [B, T, width]; logits are that times `table.T`."""
        angles = torch.arange(ids.shape[1])[:, None] * torch.tensor(rotary_speeds(self.shape.head_width))
        cosines, sines = angles.cos(), angles.sin()
        stream = normalised(self.table[ids], torch.ones(self.shape.width))
        for layer in self.layers:
            stream = layer(stream, cosines, sines)
        return normalised(stream, self.norm)


class Recurrent(nn.Module):
    """One LSTM layer (Hochreiter and Schmidhuber 1997) between the two uses of the token table, as a layer of the
    Transformer stands there: what it says adds to the vector of the token.
    """

    def __init__(self, shape: RecurrentShape) -> None:
        super().__init__()
        self.shape = shape
        self.table = nn.Parameter(0.02 * torch.randn(shape.tokens, shape.width))
        self.lstm = nn.LSTM(shape.width, shape.hidden, batch_first=True)
        self.projection = nn.Linear(shape.hidden, shape.width, bias=False)
        self.norm = nn.Parameter(torch.ones(shape.width))
        nn.init.zeros_(self.projection.weight)
        # A gate that starts open keeps what it has read (Jozefowicz et al. 2015).
        with torch.no_grad():
            self.lstm.bias_ih_l0[shape.hidden : 2 * shape.hidden] = 1.0

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids int64 [B, T] to what stands before the table, [B, T, width]."""
        rows = normalised(self.table[ids], torch.ones(self.shape.width))
        states, _ = self.lstm(rows)
        return normalised(rows + self.projection(states), self.norm)


def normalised(stream: Tensor, gain: Tensor) -> Tensor:
    """Divide each vector by the root of its mean square, and scale it."""
    return functional.rms_norm(stream, (stream.shape[-1],), gain, NORM_EPSILON)


def rotated(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair (first half, second half) of [..., T, head width] by the angle of its position."""
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


def rotary_speeds(head_width: int) -> list[float]:
    """Return the angle of each pair a position, fastest first."""
    half = head_width // 2
    return [float(ROTARY_BASE ** (-pair / half)) for pair in range(half)]
