"""From a torch module to a graph with its weights apart."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from onnx import NodeProto

from services.runtime.training.imports.checkpoint import Checkpoint
from services.runtime.training.imports.refusal import ImportRefused
from services.runtime.training.imports.weighted_graph import Weight, WeightedGraph, fold_transposes

OPSET = 23
FREE = torch.export.Dim.DYNAMIC
# Constants below this stay in the graph.
_SMALL_BYTES = 1 << 10


def load_network(kind: Any, checkpoint: Checkpoint, unused: tuple[str, ...] = ()) -> torch.nn.Module:
    """Return a network of the transformers library with the checkpoint's weights as float32, ready to be asked.

    Args:
        kind: one of the library's Auto classes.
        checkpoint: what was read of the folder.
        unused: beginnings of the names of tensors that nothing is asked of, so that they may be missing.

    Raises:
        ImportRefused: weights are missing or have other shapes.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        network, said = kind.from_pretrained(
            checkpoint.folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise ImportRefused(
            f"the weights do not fit {checkpoint.architecture}: {_first_line(error, checkpoint)}"
        ) from error
    if missing := sorted(name for name in said["missing_keys"] if not name.startswith(unused)):
        raise ImportRefused(
            f"the weights lack {len(missing)} of the network's tensors, the first is {missing[0]}",
            "Fetch the checkpoint again, or choose the task that it was trained for.",
        )
    module: torch.nn.Module = network.eval().requires_grad_(False)
    return module


def export_graph(
    module: torch.nn.Module,
    example: Sequence[Any],
    free_axes: Sequence[Any],
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> WeightedGraph:
    """Return the graph of a module, its weights stored the way they are multiplied.

    Args:
        module: answers a tensor or a tuple of them.
        example: arguments of one call; a list of tensors counts as so many inputs.
        free_axes: for each argument its free axes, as `torch.export` takes them.
        input_names: of the graph, in the order of the arguments.
        output_names: of the graph, in the order of the answer.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(example),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=tuple(free_axes),
            verbose=False,
        )
    assert program is not None
    return fold_transposes(_apart(program))


def _apart(program: Any) -> WeightedGraph:
    weights, constants = {}, program.model.graph.initializers
    for name, value in list(constants.items()):
        constant = value.const_value
        if constant is None or constant.nbytes < _SMALL_BYTES:
            continue
        weights[name] = Weight(int(constant.dtype), tuple(int(axis) for axis in constant.shape), _reader(constant))
        constants.pop(name)
    proto = program.model_proto
    # The exporter notes source lines, with the paths of this machine, at every node.
    for entry in (proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output):
        del entry.metadata_props[:]
    for node in proto.graph.node:
        _forget_source(node)
    del proto.metadata_props[:], proto.graph.value_info[:]
    proto.graph.name = "imported"
    return WeightedGraph(proto, weights)


def _forget_source(node: NodeProto) -> None:
    node.doc_string = ""


def _reader(constant: Any) -> Callable[[], np.ndarray[Any, Any]]:
    def read() -> np.ndarray[Any, Any]:
        values: np.ndarray[Any, Any] = constant.numpy()
        return values

    return read


def _first_line(error: Exception, checkpoint: Checkpoint) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).replace(str(checkpoint.folder), "the folder")[:200]
