"""The network that is fitted; `scorer.py` computes the same in NumPy, `graph.py` writes it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from services.text.training.next_item.options import NextItemOptions
from services.text.training.next_item.scorer import HIDDEN, LARGEST_LOGIT, NORM_EPSILON


class Dropout(nn.Module):
    """Dropout with a generator of its own: two fits side by side must not share random numbers."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self._kept, self._generator = 1 - share, generator

    def forward(self, values: Tensor) -> Tensor:
        """Leaves values out while training."""
        if not self.training or self._kept == 1:
            return values
        mask = torch.empty_like(values).bernoulli_(self._kept, generator=self._generator)
        return values * mask / self._kept


class Block(nn.Module):
    """Causal self-attention and a feed-forward part, normalised before each, as in GPT-2.

    Attention logits fall linearly with the distance, as in O. Press et al., "Train Short, Test Long: Attention with
    Linear Biases Enables Input Length Extrapolation", ICLR 2022, with slopes that are learned.
    """

    def __init__(self, options: NextItemOptions, dropout: Dropout) -> None:
        super().__init__()
        width = options.dimensions
        self._heads = options.heads
        self._dropout = dropout
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mix = nn.Linear(width, 3 * width)
        self.slopes = nn.Parameter(torch.linspace(-3, 0, options.heads))
        self.join = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.widen = nn.Linear(width, options.expansion * width)
        self.narrow = nn.Linear(options.expansion * width, width)

    def forward(self, hidden: Tensor, back: Tensor) -> Tensor:
        """float32[B, L, D] to the same."""
        query, key, value = (heads(part, self._heads) for part in self.mix(self.norm(hidden)).chunk(3, dim=-1))
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) - self.slopes.exp()[:, None, None] * back
        attention = torch.where(back < 0, float(HIDDEN), logits).softmax(-1)
        joined = (attention @ value).transpose(1, 2).reshape(hidden.shape)
        hidden = hidden + self._dropout(self.join(joined))
        inner = nn.functional.gelu(self.widen(self.inner_norm(hidden)))
        return hidden + self._dropout(self.narrow(inner))


class NextItemNetwork(nn.Module):
    """Self-attention over events (W. Kang, J. McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018), whose
    last layer adds up one vector for each event, so that what each event contributes is exact.

    Args:
        item_count: N; row N is where a sequence starts.
        options: Sizes.
        generator: Of the first values and of the dropout.
    """

    def __init__(self, item_count: int, options: NextItemOptions, generator: torch.Generator) -> None:
        super().__init__()
        width = options.dimensions
        self._heads = options.pooling_heads
        self._root = math.sqrt(width)
        self.dropout = Dropout(options.dropout, generator)

        def vectors(count: int) -> nn.Parameter:
            return nn.Parameter(options.initial_scale * torch.randn(count, width, generator=generator))

        self.items, self.values, self.candidates = vectors(item_count + 1), vectors(item_count + 1), vectors(item_count)
        self.blocks = nn.ModuleList(Block(options, self.dropout) for _ in range(options.layers))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        # A decay of .8 a step to begin with.
        self.slopes = nn.Parameter(torch.full((options.pooling_heads,), math.log(0.22)))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.in_features)
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        # To begin with an event adds its own item's vector and nothing of its context.
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        """The user's vector after each place.

        Args:
            rows: int64[B, L].
            weights: float32[B, L].

        Returns:
            float32[B, L, D].
        """
        places = torch.arange(rows.shape[1])
        back = (places[:, None] - places).float()
        hidden = self.dropout(self.items[rows] * self._root)
        for block in self.blocks:
            hidden = block(hidden, back)
        hidden = self.norm(hidden)
        query, key = heads(self.query(hidden), self._heads), heads(self.key(hidden), self._heads)
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) - self.slopes.exp()[:, None, None] * back
        alpha = torch.where(back < 0, 0.0, logits.clamp(max=LARGEST_LOGIT).exp())
        vectors = (self.values[rows] + self.value(hidden)) * weights[..., None]
        return (alpha @ heads(vectors, self._heads)).transpose(1, 2).reshape(hidden.shape)


def heads(values: Tensor, count: int) -> Tensor:
    """[B, L, D] to [B, count, L, D / count]."""
    batch, length, width = values.shape
    return values.view(batch, length, count, width // count).transpose(1, 2)
