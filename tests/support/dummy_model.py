"""A complete model version of a few kilobytes: an ONNX graph that averages word vectors, with its tokeniser.

It has the inputs and outputs of a real text model, so the whole way from RPC to graph can be tested without
weights.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import numpy.typing
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from services.runtime.training.publish import publish_version

NAME = "dummy-vectors"
VERSION = "1"
TASK = "word-vectors"
DIMENSIONS = 8
MAX_TOKENS = 16
WORDS = ("[UNK]", "alien", "cowboy", "detective", "dragon", "ghost", "heist", "love", "robot", "space", "war")
OPSET = 17
# The newest form of ONNX files that every onnxruntime of the locks reads.
IR_VERSION = 9


def write_model(
    root: Path,
    name: str = NAME,
    version: str = VERSION,
    *,
    work: int = 0,
    output_shift: float = 0.0,
    seed: int = 7,
    **manifest: Any,
) -> Path:
    """Write `<root>/<name>/<version>/` and return it.

    Args:
        root: folder of the model repository.
        name: name of the model.
        version: version of the model.
        work: useless matrix products of a run, for each token of the batch's width: makes runs slow.
        output_shift: added to the golden outputs; more than the tolerance of 0.001 fails the parity check.
        seed: of the word table; versions with different seeds answer differently.
        manifest: entries of model.yaml that replace the usual ones.
    """
    folder = root / name / version
    document = {
        "name": name,
        "version": version,
        "task": TASK,
        "description": "Mean of word vectors, for tests.",
        "license": "Apache-2.0",
        "source": "made by the tests",
        "required": True,
        "inputs": [
            {"name": "input_ids", "datatype": "INT64", "shape": [-1, -1]},
            {"name": "attention_mask", "datatype": "INT64", "shape": [-1, -1]},
        ],
        "outputs": [{"name": "vectors", "datatype": "FP32", "shape": [-1, DIMENSIONS]}],
        "batching": {"max_batch": 4, "cost_unit": "tokens", "exact_length": False},
        "placement": {"prepare": "inline", "run": "engine", "finish": "inline"},
        "limits": {"max_tokens": MAX_TOKENS},
        "golden": {"tolerance": {"CPUExecutionProvider": {"max_difference": 0.001, "decision_flips": 0}}},
        **manifest,
    }
    case = {
        "input_ids": numpy.array([[1, 9], [4, 0]], numpy.int64),
        "attention_mask": numpy.array([[1, 1], [1, 0]], numpy.int64),
    }
    graph = word_mean_graph(work, seed)
    publish_version(folder, document, graph, {"tokenizer.json": tokenizer_file()}, [case], f"# {name}\n")
    if output_shift:
        edit_golden(
            folder,
            lambda key, value: value + numpy.float32(output_shift) if ".output." in key else value,
        )
    return folder


def word_mean_graph(work: int = 0, seed: int = 7) -> onnx.ModelProto:
    """Return the graph: int64[B, T] ids and mask in, float32[B, 8] unit vectors out."""
    table = numpy.random.default_rng(seed).normal(size=(len(WORDS), DIMENSIONS)).astype(numpy.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
        helper.make_node("Mul", ["words", "wide_mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=0),
        *_busy_nodes(),
        helper.make_node("ReduceL2", ["worked"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["safe_length"]),
        helper.make_node("Div", ["worked", "safe_length"], ["vectors"]),
    ]
    constants: dict[str, numpy.typing.NDArray[Any]] = {
        "table": table,
        "last": numpy.array([-1], numpy.int64),
        "tokens": numpy.array([1], numpy.int64),
        "tiny": numpy.array(1e-9, numpy.float32),
        "work": numpy.array(work, numpy.int64),
        "true": numpy.array(True),
        "width": numpy.array([1], numpy.int64),
        "identity": numpy.eye(DIMENSIONS, dtype=numpy.float32),
    }
    free = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "word_mean",
        [helper.make_tensor_value_info(name, TensorProto.INT64, free) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", DIMENSIONS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def tokenizer_file() -> bytes:
    """Return the content of tokenizer.json: one token a word, [UNK] for any other."""
    tokenizer = Tokenizer(WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer.to_str().encode()


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the document of model.yaml in place."""
    path = folder / "model.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def edit_golden(folder: Path, change: Callable[[str, Any], Any]) -> None:
    """Replace each stored array by `change(key, array)`, drop those that become None, state the new checksum."""
    path = folder / "golden.npz"
    with numpy.load(path) as stored:
        changed = {key: change(key, stored[key]) for key in stored.files}
    buffer = BytesIO()
    numpy.savez(buffer, allow_pickle=False, **{key: value for key, value in changed.items() if value is not None})
    replace_file(folder, "golden.npz", buffer.getvalue())


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Write a file of a version and state its new checksum, as a careless publisher would."""
    (folder / name).write_bytes(content)
    edit_manifest(folder, lambda document: document["files"].update({name: sha256(content).hexdigest()}))


def flip_byte(path: Path) -> None:
    """Change one bit in the middle of a file, as a bad disk would."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cut a file in half, as an interrupted copy would."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _busy_nodes() -> list[onnx.NodeProto]:
    """Return nodes that turn `sum` into `worked`, its equal, with `work` products a token by the identity matrix."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still_go_on"]),
            helper.make_node("MatMul", ["state", "identity"], ["next_state"]),
        ],
        "busy",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still_go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, None),
        ],
    )
    return [
        helper.make_node("Shape", ["input_ids"], ["shape"]),
        helper.make_node("Gather", ["shape", "width"], ["width_of_batch"]),
        helper.make_node("Mul", ["width_of_batch", "work"], ["steps"]),
        helper.make_node("Loop", ["steps", "true", "sum"], ["worked"], body=body),
    ]
