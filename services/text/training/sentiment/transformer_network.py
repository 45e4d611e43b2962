"""The sentiment Transformer: MiniLM trunks of their own over one token table, whose answers are averaged.

It has trunks of its own because sentiment loses when it shares all layers with emotion and toxicity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from services.text.training.sentence_encoder import EncoderLayer, EncoderShape
from services.text.training.understanding.network import PooledHead


class SentimentTrunk(nn.Module):
    """Positions, layers and head of one encoder: embedded tokens [B, T, W] and mask [B, T] -> [B, 2]."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.position_table = nn.Parameter(torch.zeros(shape.positions, shape.width))
        self.input_normalisation = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.layers = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.layers))
        self.sentiment_head = PooledHead(shape.width, 2)

    def forward(self, embedded: Tensor, attention_mask: Tensor) -> Tensor:
        """Return (score before tanh, logit of "positive") a text."""
        batch, tokens, _ = embedded.shape
        absent = (attention_mask.to(torch.float32) - 1.0) * 10000.0
        attended = absent[:, None, None, :].expand(batch, 1, tokens, tokens)
        hidden = self.input_normalisation(embedded + self.position_table[:tokens]).flatten(0, 1)
        for layer in self.layers:
            hidden = layer(hidden, attended)
        result: Tensor = self.sentiment_head(hidden.view(batch, tokens, -1), absent)
        return result


class SentimentTransformer(nn.Module):
    """Token ids and mask int64 [B, T] -> [B, 2]: (score before tanh, logit of "positive"), the mean of the trunks."""

    def __init__(self, token_table: Tensor, shape: EncoderShape, trunks: int = 1) -> None:
        super().__init__()
        self.token_table = nn.Embedding.from_pretrained(token_table, freeze=True)
        self.trunks = nn.ModuleList(SentimentTrunk(shape) for _ in range(trunks))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Run every trunk on the same token vectors."""
        embedded = self.token_table(input_ids)
        answers = [trunk(embedded, attention_mask) for trunk in self.trunks]
        return torch.stack(answers).mean(0) if len(answers) > 1 else answers[0]


Weights = Mapping[str, Tensor]


def trunk_weights(state: Weights) -> dict[str, Tensor]:
    """Return what a trunk takes of the state of an encoder or an `UnderstandingNetwork`; a head where it has one."""
    parts = ("position_table", "input_normalisation.", "layers.", "sentiment_head.")
    return {name: value for name, value in state.items() if name.startswith(parts)}


def averaged(members: Sequence[Weights]) -> dict[str, Tensor]:
    """Return the mean of the members' weights.

    Networks fitted from the same start with other seeds and tasks lie in one basin, where the mean of the weights
    answers nearly as well as the mean of the answers, at the price of one (Wortsman et al. 2022, "Model soups").
    """
    return {name: torch.stack([member[name] for member in members]).mean(0) for name in members[0]}
