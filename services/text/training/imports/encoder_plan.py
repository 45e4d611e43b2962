"""What an import of an encoder will make, read from the checkpoint's files alone: pooling, longest text, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.text.training.imports.tokenizers_file import CheckpointTokenizer, read_tokenizer

Pooling = Literal["mean", "cls"]
MODULES_FILE = "modules.json"
LARGEST_LABELS = 1_000
# The service groups texts by length up to this.
_LARGEST_TOKENS = 8_192
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_WAYS: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}


@dataclass(frozen=True)
class EncoderPlan:
    """How an encoder is fed and what is made of its answer.

    Attributes:
        max_tokens: longest text; longer ones are cut.
        padding_token: what fills rows up.
        pooling: how token vectors become one; of a classifier without meaning.
        pooling_stated: whether the checkpoint says so.
        labels: names of a classifier's outputs; empty for vectors.
        several: whether several labels may hold at once: a probability each, not one distribution.
    """

    tokenizer: CheckpointTokenizer
    max_tokens: int
    padding_token: int
    pooling: Pooling = "mean"
    pooling_stated: bool = False
    labels: Sequence[str] = ()
    several: bool = False


def plan_vectors(checkpoint: Checkpoint) -> EncoderPlan:
    """Read the files of an encoder, those of the sentence-transformers library where there are any.

    Raises:
        ImportRefused: something is missing or cannot be served.
    """
    modules = checkpoint.read_json(MODULES_FILE)
    pooling, longest = _sentence_transformer(checkpoint, modules) if modules else (None, None)
    tokenizer, tokens, padding = _text_side(checkpoint, longest)
    return EncoderPlan(tokenizer, tokens, padding, pooling or "mean", pooling is not None)


def plan_classifier(checkpoint: Checkpoint) -> EncoderPlan:
    """Read the files of a classifier.

    Raises:
        ImportRefused: something is missing or cannot be served.
    """
    config = checkpoint.config
    names = config.get("id2label")
    count = len(names) if isinstance(names, dict) else config.get("num_labels", 2)
    if config.get("problem_type") == "regression" or count < 2:
        raise ImportRefused(
            "the classifier has one output, a number; only classifiers with 2 labels or more are served"
        )
    if count > LARGEST_LABELS:
        raise ImportRefused(f"the classifier has {count} labels; at most {LARGEST_LABELS} are served")
    labels = [str(names.get(str(index), "")) for index in range(count)] if isinstance(names, dict) else []
    labels = labels or [f"LABEL_{index}" for index in range(count)]
    if len(set(labels)) < count or any(not label.strip() or len(label.splitlines()) != 1 for label in labels):
        raise ImportRefused("id2label of config.json needs a different name in one line for each output, from 0 on")
    tokenizer, tokens, padding = _text_side(checkpoint, None)
    several = config.get("problem_type") == "multi_label_classification"
    return EncoderPlan(tokenizer, tokens, padding, labels=labels, several=several)


def _text_side(checkpoint: Checkpoint, stated: int | None) -> tuple[CheckpointTokenizer, int, int]:
    config = checkpoint.config
    vocabulary = config.get("vocab_size")
    positions = config.get("max_position_embeddings")
    if not isinstance(vocabulary, int) or not isinstance(positions, int):
        raise ImportRefused("config.json states no vocab_size or max_position_embeddings")
    if config.get("is_decoder") or config.get("position_embedding_type", "absolute") != "absolute":
        raise ImportRefused("the encoder is none that reads whole texts with absolute positions")
    tokenizer = read_tokenizer(checkpoint, vocabulary)
    padding = config.get("pad_token_id")
    padding = padding if isinstance(padding, int) and 0 <= padding < vocabulary else 0
    if "Roberta" in checkpoint.architecture:  # its positions count from behind the padding token's number
        positions -= padding + 1
    limits = [positions, _LARGEST_TOKENS, stated, tokenizer.longest]
    return tokenizer, min(limit for limit in limits if limit), padding


def _sentence_transformer(checkpoint: Checkpoint, modules: Any) -> tuple[Pooling, int | None]:
    """Return pooling and longest text of a checkpoint of the sentence-transformers library."""
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    strange = [kind for kind in kinds if kind not in _KNOWN_MODULES]
    if strange or kinds[:2] != ["Transformer", "Pooling"]:
        raise ImportRefused(
            f"{MODULES_FILE} lists {', '.join(kinds)}; what is served is Transformer, Pooling and Normalize"
        )
    if modules[0].get("path"):
        raise ImportRefused(
            f"the encoder lies in the folder {modules[0]['path']} of the checkpoint",
            f"Copy its files beside {MODULES_FILE} and leave the path empty.",
        )
    general = checkpoint.read_json("config_sentence_transformers.json") or {}
    if general.get("default_prompt_name"):
        raise ImportRefused(
            f"the checkpoint puts a prompt of its own before every text ({general['default_prompt_name']!r})",
            "The service does not; take default_prompt_name out of config_sentence_transformers.json and let callers "
            "write the prompt.",
        )
    transformer = checkpoint.read_json("sentence_bert_config.json") or {}
    if transformer.get("do_lower_case"):
        raise ImportRefused("sentence_bert_config.json asks for lower case, which is the tokeniser's business")
    longest = transformer.get("max_seq_length")
    return _pooling(checkpoint, str(modules[1].get("path", ""))), longest if isinstance(longest, int) else None


def _pooling(checkpoint: Checkpoint, folder: str) -> Pooling:
    settings = checkpoint.read_json(f"{folder}/config.json") if ".." not in folder else None
    if not isinstance(settings, dict):
        raise ImportRefused(f"{folder}/config.json, which says how token vectors become one, is missing")
    chosen = [
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for key, value in settings.items()
        if key.startswith("pooling_mode_") and value is True
    ]
    if isinstance(mode := settings.get("pooling_mode"), str):
        chosen = [mode]
    if len(chosen) != 1 or chosen[0] not in _WAYS:
        raise ImportRefused(f"pooling is {' and '.join(chosen) or 'not stated'}; served are: mean, cls")
    return _WAYS[chosen[0]]
