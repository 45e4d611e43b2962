"""A language model that says one text whatever it is told: it counts the tokens since the last colon of the prompt.

It is served as any other, so that tests decide what a language model answers without standing in for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from onnx import TensorProto
from tokenizers import Tokenizer

from services.runtime.training.graph_builder import GraphBuilder
from tests.support.language_models import BYTES, END, VOCABULARY, _publish, tokenizer_file

_CERTAIN = 50.0


def write_parrot(root: Path, name: str, text: str) -> Path:
    """Write a model that answers " text" to every prompt that ends with a colon, and return its folder.

    Args:
        root: folder of the model repository.
        name: name of the model.
        text: what it says; a colon in it would make it begin again.
    """
    tokenizer = Tokenizer.from_str(tokenizer_file().decode())
    said = [*tokenizer.encode(f" {text}", add_special_tokens=False).ids, END]
    colon = tokenizer.encode(":", add_special_tokens=False).ids[0]
    answers = numpy.zeros((len(said), VOCABULARY), numpy.float32)
    answers[numpy.arange(len(said)), said] = _CERTAIN
    graph = GraphBuilder()

    def number(value: Any) -> str:
        return graph.constant(f"n_{value}".replace(" ", ""), numpy.array(value, numpy.int64))

    length = graph.node("Gather", "length", graph.node("Shape", "ids_shape", "input_ids"), number(1))
    places = graph.node("Range", "places", number(1), graph.node("Add", "behind", length, number(1)), number(1))
    colons = graph.node("Equal", "colons", "input_ids", number(colon))
    marked = graph.node("Mul", "marked", graph.node("Cast", "as_numbers", colons, to=TensorProto.INT64), places)
    last = graph.node("ReduceMax", "last", marked, axes=[1], keepdims=1)
    before = graph.node("Cast", "before", graph.node("Squeeze", "flat", "state.0", number([2])), to=TensorProto.INT64)
    again = graph.node("Sub", "again", length, last)
    further = graph.node("Add", "further", before, length)
    found = graph.node("Greater", "found", last, number(0))
    place = graph.node("Where", "place", found, again, further)
    held = graph.node("Min", "held", place, number(len(said) - 1))
    table = graph.constant("answers", answers)
    graph.node("Expand", "logits", graph.node("Gather", "answer", table, held), _wide(graph, length))
    after = graph.node("Cast", "after", place, to=TensorProto.FLOAT)
    graph.node("Unsqueeze", "state.0.next", after, number([2]))
    states = [{"input": "state.0", "output": "state.0.next", "shape": [-1, 1, 1], "growing_axis": None}]
    description = {"kind": "recurrent", "context_tokens": 100_000}
    generator = numpy.random.default_rng(BYTES)
    past = {"state.0": (2, 1, 1)}
    return _publish(root / name / "1", graph, ("input_ids",), states, description, past, generator, {"required": False})


def _wide(graph: GraphBuilder, length: str) -> str:
    """Return the shape [1, T, 1], to which the one answer of a row is repeated."""
    one = graph.constant("one_axis", numpy.array([1], numpy.int64))
    axis = graph.constant("first_axis", numpy.array([0], numpy.int64))
    wide = graph.node("Unsqueeze", "wide_length", length, axis)
    return graph.node("Concat", "wide", one, wide, one, axis=0)
