"""The Transformer for understanding: the MiniLM trunk, and one head a task on its token states.

Sentiment and emotion read the text through attention pooling (a learned weight a token); toxicity is scored a token and
category, and a text is as toxic as its tokens together (log-sum-exp), so that the tokens that caused it are known.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from services.text.training.sentence_encoder import EncoderShape, SentenceEncoder


class PooledHead(nn.Module):
    """Attention pooling over the real tokens, then a linear layer."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.attention = nn.Parameter(torch.zeros(width, 1))
        self.weight = nn.Parameter(torch.randn(width, outputs) * 0.02)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, hidden: Tensor, absent: Tensor) -> Tensor:
        """Map hidden [B, T, W] and absent [B, T] (large negative where padding) to [B, outputs]."""
        shares = torch.softmax((hidden @ self.attention).squeeze(2) + absent, dim=1)
        pooled = (shares[:, None, :] @ hidden).squeeze(1)
        result: Tensor = pooled @ self.weight + self.bias
        return result


class UnderstandingNetwork(SentenceEncoder):
    """Token ids and mask -> `sentiment` [B, 2], `emotion` [B, emotions], `toxicity` [B, T, categories].

    Sentiment is (score before tanh, logit of "positive"); emotion and toxicity are logits.
    """

    def __init__(self, shape: EncoderShape, emotions: int, categories: int) -> None:
        super().__init__(shape)
        self.sentiment_head = PooledHead(shape.width, 2)
        self.emotion_head = PooledHead(shape.width, emotions)
        self.toxicity_weight = nn.Parameter(torch.randn(shape.width, categories) * 0.02)
        # Most tokens of most texts are harmless.
        self.toxicity_bias = nn.Parameter(torch.full((categories,), -5.0))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the trunk once and all heads on its last layer; a padding token's toxicity is -30."""
        real = attention_mask.to(torch.float32)
        batch, tokens = input_ids.shape
        absent = (real - 1.0) * 10000.0
        attended = absent[:, None, None, :].expand(batch, 1, tokens, tokens)
        hidden = self.token_table(input_ids) + self.position_table[:tokens]
        hidden = self.input_normalisation(hidden).flatten(0, 1)
        for layer in self.layers:
            hidden = layer(hidden, attended)
        hidden = hidden.view(batch, tokens, -1)
        toxicity = hidden @ self.toxicity_weight + self.toxicity_bias
        toxicity = torch.where(attention_mask[:, :, None] > 0, toxicity, -30.0)
        return self.sentiment_head(hidden, absent), self.emotion_head(hidden, absent), toxicity


def over_trunk(trunk: SentenceEncoder, shape: EncoderShape, emotions: int, categories: int) -> UnderstandingNetwork:
    """Return a network with the weights of `trunk` and fresh heads."""
    network = UnderstandingNetwork(shape, emotions, categories)
    network.load_state_dict(trunk.state_dict(), strict=False)
    return network
