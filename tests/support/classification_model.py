"""A complete classification model of a few kilobytes: mean word vectors, a linear layer, a softmax, three labels."""

from __future__ import annotations

from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.runtime.training.publish import publish_version
from tests.support.dummy_model import DIMENSIONS, MAX_TOKENS, tokenizer_file, word_mean_graph

LABELS = ("adventure", "romance", "crime")


def write_classification_model(root: Path, name: str) -> Path:
    """Write `<root>/<name>/1/` with the task text-classification and return it."""
    folder = root / name / "1"
    manifest = {
        "name": name,
        "version": "1",
        "task": "text-classification",
        "description": "Three labels of made-up weights, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "required": False,
        "inputs": [{"name": one, "datatype": "INT64", "shape": [-1, -1]} for one in ("input_ids", "attention_mask")],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, len(LABELS)]}],
        "batching": {"max_batch": 4, "cost_unit": "tokens"},
        "limits": {"max_tokens": MAX_TOKENS},
        "labels": "labels.txt",
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001}}},
    }
    case = {"input_ids": numpy.array([[1, 9]]), "attention_mask": numpy.array([[1, 1]])}
    files = {"tokenizer.json": tokenizer_file(), "labels.txt": "\n".join(LABELS).encode()}
    publish_version(folder, manifest, _graph(), files, [case], f"# {name}\n")
    return folder


def _graph() -> onnx.ModelProto:
    model = word_mean_graph()
    weights = numpy.random.default_rng(3).normal(size=(DIMENSIONS, len(LABELS))).astype(numpy.float32)
    model.graph.initializer.append(numpy_helper.from_array(4 * weights, "weights"))
    model.graph.node.extend(
        [
            helper.make_node("MatMul", ["vectors", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
    )
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(LABELS)]))
    onnx.checker.check_model(model)
    return model
