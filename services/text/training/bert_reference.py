"""What MiniLM's published weights answer, computed by the transformers library and by none of our own code."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertConfig, BertModel

from services.text.training.parity import TokenIds
from services.text.training.sentence_encoder import EncoderShape


def reference_vectors(tensors: dict[str, Tensor], texts: TokenIds) -> NDArray[np.float32]:
    """Returns unit sentence vectors, float32 [texts, width]; every text runs alone."""
    shape = EncoderShape()
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner_width,
        max_position_embeddings=shape.positions,
        layer_norm_eps=shape.epsilon,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    if missing:
        raise ValueError(f"the published weights lack {missing}")
    with torch.no_grad():
        means = [model(input_ids=torch.tensor([list(ids)])).last_hidden_state[0].mean(dim=0) for ids in texts]
        result: NDArray[np.float32] = torch.nn.functional.normalize(torch.stack(means), dim=1).numpy()
    return result
