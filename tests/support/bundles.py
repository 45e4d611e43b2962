"""A recommendation bundle of twelve items whose right answers can be worked out by hand; needs no trainer.

`near` likes items with a neighbouring number, `next` likes the two items that follow, `words` and `pictures` stand
for the content scorers of the text and the vision service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy
import numpy.typing
import onnx
from onnx import TensorProto, helper, numpy_helper

Floats = numpy.typing.NDArray[numpy.float32]
Arrays = dict[str, numpy.typing.NDArray[Any]]
Signature = dict[str, tuple[int, Sequence[str | int]]]
Fault = Literal["", "wrong contributions", "ignores exclusions", "needs history", "no contributions", "rows beyond"]

ITEM_COUNT = 12
ITEMS = tuple(f"item-{number}" for number in range(ITEM_COUNT))
DECAY = 0.5
OPSET = 17
IR_VERSION = 9
FEATURES = ("near", "next", "popularity", "popularity_for_newcomers")
RANKER_WEIGHTS = numpy.array([0.8, 0.5, 0.3, -0.1], numpy.float32)
RANKER_INTERCEPT = -1.0
SERVICES = {"near": "classical", "next": "classical", "words": "text", "pictures": "vision"}

_NUMBERS = numpy.arange(ITEM_COUNT)
_STEPS = (_NUMBERS[None, :] - _NUMBERS[:, None]) % ITEM_COUNT
NEAR: Floats = (1.0 / (1.0 + numpy.abs(_NUMBERS[:, None] - _NUMBERS[None, :]))).astype(numpy.float32)
NEXT: Floats = numpy.select([_STEPS == 1, _STEPS == 2], [1.0, 0.5], 0.0).astype(numpy.float32)
SIMILARITIES: dict[str, Floats] = {"near": NEAR, "next": NEXT, "words": NEAR, "pictures": NEXT}


def write_bundle(
    root: Path,
    version: str = "v1",
    tenant: str = "default",
    *,
    items: Sequence[str] = ITEMS,
    fault: Fault = "",
    **manifest: Any,
) -> Path:
    """Write `<root>/<tenant>/<version>/` and return it.

    Args:
        root: folder of the bundles.
        version: version of the bundle.
        tenant: tenant of the bundle.
        items: item ids in row order.
        fault: how every scorer breaks its contract; none when empty.
        manifest: entries of manifest.json that replace the usual ones.
    """
    folder = root / tenant / version
    folder.mkdir(parents=True)
    contents = {
        "items.txt": "".join(f"{item}\n" for item in items).encode(),
        "statistics.npz": _statistics(),
        "ranker.onnx": ranker_graph().SerializeToString(),
        **{
            f"{name}.onnx": scorer_graph(similarities, fault).SerializeToString()
            for name, similarities in SIMILARITIES.items()
        },
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    checksums = {name: sha256(content).hexdigest() for name, content in contents.items()}
    document = {
        "format": 1,
        "tenant": tenant,
        "version": version,
        "created": "2025-03-01T12:00:00Z",
        "event_watermark": 42,
        "event_count": 40,
        "user_count": 5,
        "item_count": len(items),
        "data_sha256": sha256(b"data").hexdigest(),
        "items": "items.txt",
        "scorers": [
            {
                "name": name,
                "service": service,
                "file": f"{name}.onnx",
                "sha256": checksums[f"{name}.onnx"],
                "algorithm": "table",
                "parameters": {"decay": DECAY},
            }
            for name, service in SERVICES.items()
        ],
        "ranker": {
            "name": "linear",
            "file": "ranker.onnx",
            "sha256": checksums["ranker.onnx"],
            "features": list(FEATURES),
            "algorithm": "logistic regression",
        },
        "files": checksums,
        **manifest,
    }
    (folder / "manifest.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "card.md").write_text("# Bundle of the tests\n", encoding="utf-8")
    return folder


def edit_bundle(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the document of manifest.json in place."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def replace_bundle_file(folder: Path, name: str, content: bytes) -> None:
    """Write a file of a bundle and state its new checksum."""
    (folder / name).write_bytes(content)
    edit_bundle(folder, lambda document: document["files"].update({name: sha256(content).hexdigest()}))


def expected_scores(scorer: str, history: Sequence[tuple[int, float]]) -> Floats:
    """Return the raw scores of all items, float32[N], for (row, weight) events, oldest first, without the graph."""
    newest = len(history) - 1
    terms = [
        weight * DECAY ** (newest - place) * SIMILARITIES[scorer][row] for place, (row, weight) in enumerate(history)
    ]
    return numpy.sum(terms, axis=0).astype(numpy.float32) if terms else numpy.zeros(ITEM_COUNT, numpy.float32)


def scorer_graph(similarities: Floats, fault: Fault = "") -> onnx.ModelProto:
    """Return a history scorer over a table of similarities: float32[N, N], row: history item, column: candidate."""
    nodes = [
        # What each event is worth: its weight, halved for each step back in the history.
        helper.make_node("Size", ["history_rows"], ["events"]),
        helper.make_node("Sub", ["events", "one"], ["oldest_age"]),
        helper.make_node("Range", ["oldest_age", "minus_one", "minus_one"], ["ages"]),
        helper.make_node("Cast", ["ages"], ["float_ages"], to=TensorProto.FLOAT),
        helper.make_node("Pow", ["decay", "float_ages"], ["decays"]),
        helper.make_node("Mul", ["history_weights", "decays"], ["strengths"]),
        helper.make_node("Unsqueeze", ["strengths", "last_axis"], ["tall_strengths"]),
        helper.make_node("Gather", ["similarities", "history_rows"], ["event_similarities"]),
        helper.make_node("Mul", ["event_similarities", "tall_strengths"], ["all_contributions"]),
        helper.make_node("ReduceSum", ["all_contributions", "first_axis"], ["scores"], keepdims=0),
        # The best rows.
        helper.make_node("Where", ["allowed", "scores", "never"], ["allowed_scores"]),
        helper.make_node("Shape", ["exclude_rows"], ["exclude_shape"]),
        helper.make_node("Expand", ["never", "exclude_shape"], ["nevers"]),
        helper.make_node("ScatterElements", ["allowed_scores", "exclude_rows", "nevers"], ["masked"], axis=0),
        helper.make_node("Min", ["k", "count"], ["clipped_k"]),
        helper.make_node(
            "TopK",
            ["scores" if fault == "ignores exclusions" else "masked", "clipped_k"],
            ["top_scores", "found_rows"],
        ),
        helper.make_node("Add", ["found_rows", "count" if fault == "rows beyond" else "zero"], ["top_rows"]),
        # Where this history's scores lie.
        helper.make_node("ReduceMean", ["scores"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["scores", "mean"], ["differences"]),
        helper.make_node("Mul", ["differences", "differences"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[0], keepdims=1),
        helper.make_node("Sqrt", ["variance"], ["deviation"]),
        helper.make_node("Concat", ["mean", "deviation"], ["statistics"], axis=0),
        # Who is to thank.
        helper.make_node("Gather", ["scores", "candidate_rows"], ["candidate_scores"]),
        helper.make_node("Gather", ["all_contributions", "candidate_rows"], ["true_contributions"], axis=1),
        helper.make_node("Mul", ["true_contributions", "honesty"], ["contributions"]),
    ]
    if fault == "needs history":
        nodes.insert(0, helper.make_node("Gather", ["history_rows", "zero"], ["first_event"]))
    outputs: Signature = {
        "top_rows": (TensorProto.INT64, ["K"]),
        "top_scores": (TensorProto.FLOAT, ["K"]),
        "statistics": (TensorProto.FLOAT, [2]),
        "candidate_scores": (TensorProto.FLOAT, ["C"]),
        "contributions": (TensorProto.FLOAT, ["H", "C"]),
    }
    if fault == "no contributions":
        del outputs["contributions"]
    if fault == "needs history":
        # Names the node's output, or onnxruntime would leave the useless node out.
        outputs["first_event"] = (TensorProto.INT64, [1])
    constants: Arrays = {
        "similarities": similarities,
        "decay": numpy.array(DECAY, numpy.float32),
        "one": numpy.array(1, numpy.int64),
        "zero": numpy.array([0], numpy.int64),
        "minus_one": numpy.array(-1, numpy.int64),
        "first_axis": numpy.array([0], numpy.int64),
        "last_axis": numpy.array([-1], numpy.int64),
        "never": numpy.array(-numpy.inf, numpy.float32),
        "count": numpy.array([len(similarities)], numpy.int64),
        "honesty": numpy.array(0.5 if fault == "wrong contributions" else 1.0, numpy.float32),
    }
    inputs: Signature = {
        "history_rows": (TensorProto.INT64, ["H"]),
        "history_weights": (TensorProto.FLOAT, ["H"]),
        "exclude_rows": (TensorProto.INT64, ["E"]),
        "allowed": (TensorProto.BOOL, [len(similarities)]),
        "k": (TensorProto.INT64, [1]),
        "candidate_rows": (TensorProto.INT64, ["C"]),
    }
    return _model("history_scorer", nodes, inputs, outputs, constants)


def ranker_graph() -> onnx.ModelProto:
    """Return the ranker: float32[C, F] features in; probabilities, contributions and weights of the features out."""
    nodes = [
        helper.make_node("Mul", ["features", "coefficients"], ["contributions"]),
        helper.make_node("ReduceSum", ["contributions", "last_axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "intercept"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
        helper.make_node("Identity", ["coefficients"], ["weights"]),
    ]
    constants: Arrays = {
        "coefficients": RANKER_WEIGHTS,
        "intercept": numpy.array(RANKER_INTERCEPT, numpy.float32),
        "last_axis": numpy.array([1], numpy.int64),
    }
    width = len(FEATURES)
    return _model(
        "ranker",
        nodes,
        {"features": (TensorProto.FLOAT, ["C", width])},
        {
            "probability": (TensorProto.FLOAT, ["C"]),
            "contributions": (TensorProto.FLOAT, ["C", width]),
            "weights": (TensorProto.FLOAT, [width]),
        },
        constants,
    )


def _statistics() -> bytes:
    counts = numpy.log1p(numpy.arange(ITEM_COUNT, 0, -1))
    buffer = BytesIO()
    numpy.savez(buffer, popularity=((counts - counts.mean()) / counts.std()).astype(numpy.float32))
    return buffer.getvalue()


def _model(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Signature,
    outputs: Signature,
    constants: Arrays,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, kind, list(shape)) for key, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(key, kind, list(shape)) for key, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
