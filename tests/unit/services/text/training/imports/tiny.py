"""Makes tiny random checkpoints and imports them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from services.runtime.training.imports.checkpoint import read_checkpoint
from services.runtime.training.imports.importer import EMBEDDED_BYTES, Precision, Wish, choose
from services.runtime.training.imports.publishing import import_checkpoint
from services.text.training.imports.importers import importers
from tests.support.checkpoints import BEGIN, END, VOCABULARY, byte_tokenizer

_DECODER: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
}
DECODERS: dict[str, Any] = {
    "llama": transformers.LlamaConfig(
        **_DECODER, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
    ),
    "qwen2": transformers.Qwen2Config(**_DECODER, tie_word_embeddings=True),
    "qwen3": transformers.Qwen3Config(**_DECODER, head_dim=16),
    "gpt2": transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=256, bos_token_id=END, eos_token_id=END
    ),
}
_ENCODER: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 130,
}
ENCODERS: dict[str, Any] = {
    "bert": transformers.BertConfig(**_ENCODER, pad_token_id=0),
    "roberta": transformers.RobertaConfig(
        **_ENCODER, pad_token_id=1, bos_token_id=0, eos_token_id=1, type_vocab_size=1
    ),
    "xlm-roberta": transformers.XLMRobertaConfig(
        **_ENCODER, pad_token_id=1, bos_token_id=0, eos_token_id=1, type_vocab_size=1
    ),
    "distilbert": transformers.DistilBertConfig(
        vocab_size=VOCABULARY, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=130, pad_token_id=0
    ),
}


def write_tiny(folder: Path, kind: Any, config: Any, template: str = "") -> torch.nn.Module:
    """Write a checkpoint with random weights, large enough that answers differ, and return its network."""
    torch.manual_seed(len(folder.name))
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config._attn_implementation = "eager"
    network: torch.nn.Module = kind.from_config(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    network.save_pretrained(folder)
    byte_tokenizer(template).save(str(folder / "tokenizer.json"))
    return network


def import_tiny(
    folder: Path,
    repository: Path,
    name: str,
    *,
    task: str | None = None,
    precision: Precision = "float32",
    embedded_bytes: int = EMBEDDED_BYTES,
) -> Path:
    """Import a checkpoint and return the version's folder."""
    checkpoint = read_checkpoint(folder, f"the folder {folder.name}")
    importer, chosen = choose(importers(), checkpoint.architecture, task)
    wish = Wish(name, "1", chosen, precision, embedded_bytes)
    return import_checkpoint(checkpoint, importer, wish, repository)[0]
