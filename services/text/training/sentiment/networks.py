"""The two small networks for sentiment, on the static token vectors of `word_embedding`.

Both give (score before tanh, logit of "positive") a text.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

ABSENT = -1e4


class AveragingNetwork(nn.Module):
    """Weighted mean of token vectors, then one hidden layer.

    Deep averaging network (Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods"), with token
    dropout and a learned weight a token; the vectors start from the published ones, projected onto their main axes.
    """

    def __init__(self, vectors: Tensor, width: int = 64, hidden: int = 64) -> None:
        super().__init__()
        centred = vectors - vectors.mean(0)
        _, _, axes = torch.linalg.svd(centred[: 3 * vectors.shape[1] * 10], full_matrices=False)
        start = vectors @ axes[:width].T
        self.table = nn.Parameter(start / start.std())
        self.token_weight = nn.Parameter(torch.zeros(len(vectors)))
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map ids and mask int64 [B, T] to [B, 2]."""
        real = attention_mask.float()
        if self.training:
            real = real * (torch.rand_like(real) > 0.25)
        weights = real * torch.exp(self.token_weight[input_ids])
        mean = (weights[:, None] @ self.table[input_ids]).squeeze(1) / weights.sum(1, keepdim=True).clamp(min=1e-6)
        hidden = functional.dropout(torch.relu(self.hidden(mean)), 0.3, self.training)
        result: Tensor = self.output(hidden)
        return result


class RecurrentNetwork(nn.Module):
    """Bidirectional GRU (Cho et al. 2014) over static vectors; the largest and the attended state decide."""

    def __init__(self, vectors: Tensor, hidden: int = 128) -> None:
        super().__init__()
        self.register_buffer("table", vectors)
        self.gru = nn.GRU(vectors.shape[1], hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Parameter(torch.zeros(2 * hidden, 1))
        self.output = nn.Linear(4 * hidden, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map ids and mask int64 [B, T] to [B, 2]; a row without tokens is read as one token."""
        lengths = attention_mask.sum(1).clamp(min=1)
        vectors = functional.dropout(self.table[input_ids], 0.3, self.training)
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=input_ids.shape[1])
        places = torch.arange(input_ids.shape[1])
        absent = torch.where(places[None] < lengths[:, None], 0.0, ABSENT)
        shares = torch.softmax((states @ self.attention).squeeze(2) + absent, dim=1)
        attended = (shares[:, None] @ states).squeeze(1)
        largest = (states + absent[:, :, None]).amax(1)
        pooled = functional.dropout(torch.cat([attended, largest], 1), 0.4, self.training)
        result: Tensor = self.output(pooled)
        return result
