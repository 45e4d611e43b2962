"""Tiny language models in the format of the model repository: a random attention decoder and a random GRU, with a
tokeniser that has one token for each byte, so that most characters beyond ASCII cross token borders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import onnx
from onnx import TensorProto
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from services.runtime.training.graph_builder import GraphBuilder, tensor
from services.runtime.training.publish import publish_version

DECODER = "decoder-language-model"
RECURRENT = "recurrent-language-model"
KINDS = (DECODER, RECURRENT)
TASK = "text-generation"
BYTES = 256
BEGIN, END = BYTES, BYTES + 1
VOCABULARY = BYTES + 2
CONTEXT = 160
NEVER = -1e9
"""`end` of a model that never ends a text by itself."""
_POSITIONS = 4096
Array = numpy.typing.NDArray[Any]


def write_decoder(
    root: Path,
    name: str = DECODER,
    *,
    layers: int = 2,
    heads: int = 2,
    head_width: int = 8,
    context: int = CONTEXT,
    seed: int = 1,
    end: float = 0.0,
    across_rows: bool = False,
    ignore_mask: bool = False,
    half_states: bool = False,
    **manifest: Any,
) -> Path:
    """Write a Transformer with random weights and return its folder.

    Args:
        root: folder of the model repository.
        name: name of the model.
        layers: number of layers.
        heads: attention heads of a layer.
        head_width: numbers of a head.
        context: most tokens of prompt and text together.
        seed: of the weights.
        end: added to the logit of the token that ends a text.
        across_rows: whether each row is shifted by the mean of all rows, so that neighbours change the answer.
        ignore_mask: whether attention sees what `attention_mask` hides.
        half_states: whether the states are FP16.
        manifest: entries of model.yaml that replace the usual ones.
    """
    width = heads * head_width
    weights = numpy.random.default_rng(seed)
    graph = GraphBuilder()

    def random(name: str, *shape: int) -> str:
        return graph.constant(name, (weights.normal(size=shape) / shape[0] ** 0.5).astype(numpy.float32))

    def number(value: Any) -> str:
        return graph.constant(f"n_{str(value).replace(' ', '')}", numpy.array(value, numpy.int64))

    table = graph.constant("table", weights.normal(size=(VOCABULARY, width)).astype(numpy.float32))
    places = graph.constant("places", weights.normal(size=(_POSITIONS, width)).astype(numpy.float32) * 0.5)
    words = graph.node("Gather", "words", table, "input_ids")
    hidden = graph.node("Add", "embedded", words, graph.node("Gather", "placed", places, "position_ids"))
    if across_rows:
        hidden = graph.node("Add", "mixed", hidden, graph.node("ReduceMean", "mean", hidden, axes=[0], keepdims=1))
    bias = _attention_bias(graph, number, ignore_mask)
    for layer in range(layers):
        hidden = _attention(graph, number, random, hidden, bias, layer, heads, head_width, ignore_mask, half_states)
        inner = graph.node("MatMul", f"inner{layer}", hidden, random(f"up{layer}", width, 2 * width))
        inner = graph.node("Relu", f"relu{layer}", inner)
        inner = graph.node("MatMul", f"outer{layer}", inner, random(f"down{layer}", 2 * width, width))
        hidden = _normal(graph, f"second{layer}", graph.node("Add", f"fed{layer}", hidden, inner), width)
    _logits(graph, random, hidden, width, end)
    states = [
        {
            "input": f"past_key_values.{layer}.{part}",
            "output": f"present.{layer}.{part}",
            "shape": [-1, heads, -1, head_width],
            "growing_axis": 2,
        }
        for layer in range(layers)
        for part in ("key", "value")
    ]
    names = ("input_ids", "attention_mask", "position_ids")
    description = {"kind": "transformer", "context_tokens": context}
    past = {str(state["input"]): (2, heads, 3, head_width) for state in states}
    kind = numpy.float16 if half_states else numpy.float32
    return _publish(root / name / "1", graph, names, states, description, past, weights, manifest, kind)


def write_recurrent(
    root: Path, name: str = RECURRENT, *, width: int = 24, seed: int = 2, end: float = 0.0, **manifest: Any
) -> Path:
    """Write a GRU with random weights and return its folder; the arguments are those of `write_decoder`."""
    weights = numpy.random.default_rng(seed)
    graph = GraphBuilder()

    def random(name: str, *shape: int) -> str:
        return graph.constant(name, (weights.normal(size=shape) / shape[-1] ** 0.5 * 2).astype(numpy.float32))

    table = graph.constant("table", weights.normal(size=(VOCABULARY, width)).astype(numpy.float32))
    words = graph.node("Gather", "words", table, "input_ids")
    by_time = graph.node("Transpose", "by_time", words, perm=[1, 0, 2])
    before = graph.node("Transpose", "before", "state.0", perm=[1, 0, 2])
    names = [random("input_weights", 1, 3 * width, width), random("state_weights", 1, 3 * width, width)]
    whole = graph.node("GRU", "whole", by_time, *names, "", "", before, outputs=2, hidden_size=width)
    one = graph.node("Squeeze", "one_way", whole, graph.constant("first", numpy.array([1], numpy.int64)))
    hidden = graph.node("Transpose", "by_row", one, perm=[1, 0, 2])
    graph.node("Transpose", "state.0.next", "whole_2", perm=[1, 0, 2])
    _logits(graph, random, hidden, width, end)
    states = [{"input": "state.0", "output": "state.0.next", "shape": [-1, 1, width], "growing_axis": None}]
    description = {"kind": "recurrent", "context_tokens": 100_000}
    past = {"state.0": (2, 1, width)}
    return _publish(root / name / "1", graph, ("input_ids",), states, description, past, weights, manifest)


def tokenizer_file() -> bytes:
    """Return the content of tokenizer.json: a token for each byte, `<begin>` and `<end>`."""
    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(["<begin>", "<end>"])
    return tokenizer.to_str().encode()


def _attention_bias(graph: GraphBuilder, number: Any, ignore_mask: bool) -> str:
    """Return float32[B, 1, T, P + T]: 0 where a token may look, far below where not."""
    length = graph.node("Gather", "length", graph.node("Shape", "ids_shape", "input_ids"), number(1))
    total = graph.node("Gather", "total", graph.node("Shape", "mask_shape", "attention_mask"), number(1))
    past = graph.node("Sub", "past", total, length)
    keys = graph.node("Range", "keys", number(0), total, number(1))
    own = graph.node("Add", "own", graph.node("Range", "queries", number(0), length, number(1)), past)
    later = graph.node("Greater", "later", keys, graph.node("Unsqueeze", "own_column", own, number([1])))
    far = graph.constant("far", numpy.array(-1e9, numpy.float32))
    zero = graph.constant("zero", numpy.array(0, numpy.float32))
    causal = graph.node("Where", "causal", later, far, zero)
    if ignore_mask:
        return causal
    real = graph.node("Cast", "real_keys", "attention_mask", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", "shown_keys", real, number([1, 3]))
    hidden = graph.node("Equal", "hidden_keys", "attention_mask", number(0))
    padding = graph.node("Where", "padding", hidden, far, zero)
    return graph.node("Add", "bias", graph.node("Unsqueeze", "wide_padding", padding, number([1, 2])), causal)


def _attention(
    graph: GraphBuilder,
    number: Any,
    random: Any,
    hidden: str,
    bias: str,
    layer: int,
    heads: int,
    head_width: int,
    ignore_mask: bool,
    half_states: bool,
) -> str:
    width = heads * head_width

    def grown(name: str) -> str:
        past, present, new = f"past_key_values.{layer}.{name}", f"present.{layer}.{name}", part(name)
        if not half_states:
            return graph.node("Concat", present, past, new, axis=2)
        joined = graph.node(
            "Concat",
            f"joined_{name}{layer}",
            past,
            graph.node("Cast", f"half_{name}{layer}", new, to=TensorProto.FLOAT16),
            axis=2,
        )
        graph.node("Identity", present, joined)
        return graph.node("Cast", f"whole_{name}{layer}", joined, to=TensorProto.FLOAT)

    def part(name: str) -> str:
        projected = graph.node("MatMul", f"{name}{layer}", hidden, random(f"{name}_weights{layer}", width, width))
        split = graph.node("Reshape", f"{name}_heads{layer}", projected, number([0, 0, heads, head_width]))
        return graph.node("Transpose", f"{name}_first{layer}", split, perm=[0, 2, 1, 3])

    query, key, value = part("query"), grown("key"), grown("value")
    # Each key holds a part of the one before it, so that the past must lie without gaps.
    shown = key if ignore_mask else graph.node("Mul", f"shown{layer}", key, "shown_keys")
    shifted = graph.node("Pad", f"before{layer}", shown, number([0, 0, 1, 0, 0, 0, -1, 0]))
    half = graph.constant("half", numpy.array(0.5, numpy.float32))
    key = graph.node("Add", f"keys{layer}", key, graph.node("Mul", f"half{layer}", shifted, half))
    turned = graph.node("Transpose", f"turned{layer}", key, perm=[0, 1, 3, 2])
    scale = graph.constant("scale", numpy.array(head_width**-0.5, numpy.float32))
    scores = graph.node("Mul", f"scaled{layer}", graph.node("MatMul", f"scores{layer}", query, turned), scale)
    shares = graph.node("Softmax", f"shares{layer}", graph.node("Add", f"masked{layer}", scores, bias), axis=-1)
    seen = graph.node(
        "Transpose", f"seen{layer}", graph.node("MatMul", f"mixed{layer}", shares, value), perm=[0, 2, 1, 3]
    )
    flat = graph.node("Reshape", f"flat{layer}", seen, number([0, 0, width]))
    output = graph.node("MatMul", f"output{layer}", flat, random(f"output_weights{layer}", width, width))
    return _normal(graph, f"first{layer}", graph.node("Add", f"attended{layer}", hidden, output), width)


def _normal(graph: GraphBuilder, name: str, value: str, width: int) -> str:
    ones = graph.constant("ones", numpy.ones(width, numpy.float32))
    return graph.node("LayerNormalization", name, value, ones, axis=-1)


def _logits(graph: GraphBuilder, random: Any, hidden: str, width: int, end: float) -> None:
    raised = numpy.zeros(VOCABULARY, numpy.float32)
    # Mostly letters, so that most texts can be read.
    raised[[row for row, letter in enumerate(sorted(ByteLevel.alphabet())) if letter.isascii()]] = 3
    raised[BEGIN] = -1e9
    raised[END] = end
    plain = graph.node("MatMul", "plain_logits", hidden, random("output_table", width, VOCABULARY))
    graph.node("Add", "logits", plain, graph.constant("raised", raised))


def _publish(
    folder: Path,
    graph: GraphBuilder,
    names: Sequence[str],
    states: Sequence[Mapping[str, Any]],
    description: Mapping[str, Any],
    past: Mapping[str, Sequence[int]],
    weights: numpy.random.Generator,
    manifest: Mapping[str, Any],
    kind: type[numpy.floating[Any]] = numpy.float32,
) -> Path:
    element, datatype = {
        numpy.float16: (TensorProto.FLOAT16, "FP16"),
        numpy.float32: (TensorProto.FLOAT, "FP32"),
    }[kind]

    def axes(shape: Sequence[int], grown: str) -> list[Any]:
        return ["rows" if axis == 0 else grown if length == -1 else length for axis, length in enumerate(shape)]

    inputs = [tensor(name, TensorProto.INT64, ["rows", "all" if name == "attention_mask" else "new"]) for name in names]
    inputs += [tensor(state["input"], element, axes(state["shape"], "past")) for state in states]
    outputs = [tensor("logits", TensorProto.FLOAT, ["rows", "new", VOCABULARY])]
    outputs += [tensor(state["output"], element, axes(state["shape"], "all")) for state in states]
    document = {
        "name": folder.parent.name,
        "version": folder.name,
        "task": TASK,
        "description": "Random words, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "required": True,
        "inputs": [
            *({"name": name, "datatype": "INT64", "shape": [-1, -1]} for name in names),
            *({"name": state["input"], "datatype": datatype, "shape": list(state["shape"])} for state in states),
        ],
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [-1, -1, VOCABULARY]},
            *({"name": state["output"], "datatype": datatype, "shape": list(state["shape"])} for state in states),
        ],
        "batching": {"max_batch": 1, "cost_unit": "tokens"},
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0}}},
        **manifest,
    }
    growing = any(state["growing_axis"] is not None for state in states)
    cases = [
        _case(names, {state["input"]: (1, *state["shape"][1:]) for state in states}, 4, 0, weights, kind),
        _case(names, past, 1, 3 if growing else 0, weights, kind),
    ]
    extra = {
        "tokenizer.json": tokenizer_file(),
        "generation.json": json.dumps(
            {**description, "begin_token": BEGIN, "end_tokens": [END], "states": list(states)}
        ).encode(),
    }
    model = graph.model("language_model", inputs, outputs)
    onnx.checker.check_model(model)
    publish_version(folder, document, model, extra, cases, f"# {folder.parent.name}\n")
    return folder


def _case(
    names: Sequence[str],
    past: Mapping[str, Sequence[int]],
    new: int,
    before: int,
    weights: numpy.random.Generator,
    kind: type[numpy.floating[Any]],
) -> dict[str, Array]:
    """Return inputs for `new` tokens after `before` others."""
    states = {
        name: weights.normal(size=[max(length, 0) for length in shape]).astype(kind) for name, shape in past.items()
    }
    rows = next(iter(states.values())).shape[0]
    ids = weights.integers(0, BYTES, (rows, new))
    tokens = {
        "input_ids": ids,
        "attention_mask": numpy.ones((rows, before + new), numpy.int64),
        "position_ids": numpy.tile(numpy.arange(before, before + new), (rows, 1)),
    }
    return {**{name: tokens[name] for name in names}, **states}
