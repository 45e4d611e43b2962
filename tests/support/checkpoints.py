"""Checkpoints as they are published, made without torch: a configuration, a tokeniser, weights of zeros."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

BEGIN, END = 0, 1
VOCABULARY = 300
WORDS = ["A retired detective returns for one last case.", "Two robots fall in love on a space station.", "gg wp"]
LLAMA: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "eos_token_id": END,
}
BERT: Mapping[str, Any] = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}


def byte_tokenizer(template: str = "", extra: Sequence[str] = ()) -> Tokenizer:
    """Return a tokeniser of pieces of bytes with the special tokens `<s>` and `</s>`.

    Args:
        template: what it makes of a text, for example "<s> $A </s>"; empty for the text alone.
        extra: more special tokens.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - len(extra),
        special_tokens=["<s>", "</s>", *extra],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    if template:
        tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=[("<s>", BEGIN), ("</s>", END)])
    return tokenizer


def write_checkpoint(folder: Path, config: Mapping[str, Any] = LLAMA, template: str = "") -> Path:
    """Write a checkpoint whose weights are two tensors of zeros, and return its folder."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    byte_tokenizer(template).save(str(folder / "tokenizer.json"))
    write_safetensors(folder / "model.safetensors", {"first": [8, 4], "second": [3]})
    return folder


def write_safetensors(path: Path, shapes: Mapping[str, Sequence[int]], dtype: str = "F32") -> None:
    """Write tensors of zeros in the form of the safetensors library."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    content = json.dumps(header).encode()
    path.write_bytes(len(content).to_bytes(8, "little") + content + bytes(end))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, and its folder when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
